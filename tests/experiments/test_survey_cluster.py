"""Surveys on Dask: a real scheduler and two workers on this machine, one of them killed in the middle."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest
from namespaces import apart

import fmrw
from fmrw.errors import BadInput, MountError, SessionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fmrw.experiments.survey.driver import Progress

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

SLOW = {"slow": "sh -c 'sleep 0.03; head -c 3 \"$0\"' {}", "quick": "head -c 5 {}"}
DASK = (
    [sys.executable, "-m", "distributed.cli.dask_scheduler"],
    [sys.executable, "-m", "distributed.cli.dask_worker"],
)


class Cluster:
    """A scheduler, and workers that join it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []
        self.logs: list[Path] = []
        command = [*DASK[0], "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.address = self.start(command, r"Scheduler at:\s+(tcp://\S+)")

    def worker(self, *before: str) -> subprocess.Popen[str]:
        options = [
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--host",
            "127.0.0.1",
            "--local-directory",
            str(self.folder),
        ]
        self.start([*before, *DASK[1], self.address, *options], r"Registered to:\s+(tcp://\S+)")
        return self.processes[-1]

    def start(self, command: list[str], until: str) -> str:
        """Start a process, and wait until its log says something."""
        log = self.folder / f"log{len(self.logs)}"
        self.logs.append(log)
        with log.open("w") as file:
            process = subprocess.Popen(
                command, stderr=file, stdout=file, text=True, start_new_session=True, cwd=self.folder
            )
        self.processes.append(process)
        while (found := re.search(until, log.read_text())) is None:
            assert process.poll() is None, log.read_text()
        return found[1]

    def end(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "dask"
    folder.mkdir()
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(80):
        (folder / f"{number:02}").write_bytes(b"x" * 40)
    return folder


def _whole_lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:  # its part is done
        return []


def test_a_worker_killed_in_the_middle_costs_nothing(cluster: Cluster, corpus: Path) -> None:
    doomed, _other = cluster.worker(), cluster.worker()
    out = corpus.parent / "out"
    done: dict[tuple[str, str], float] = {}

    def watch(_progress: Progress) -> None:
        lines = [line for path in out.glob("spool/*.jsonl") for line in _whole_lines(path)]
        if len(lines) >= 10 and not done:
            doomed.send_signal(signal.SIGKILL)
            doomed.wait()
            done.update({(row["parser"], row["file"]): row["seconds"] for row in map(json.loads, lines)})

    found = fmrw.survey(corpus, out, SLOW, scheduler=cluster.address, watch=watch)
    runs = found.runs.collect()
    assert done
    assert runs.height == runs.select("parser", "file").n_unique() == 160
    assert set(runs["verdict"]) == {"accepted"}
    kept = {
        (parser, file): seconds
        for parser, file, seconds in runs.select("parser", "file", "seconds").iter_rows()
    }
    assert {key: kept[key] for key in done} == done, "what was done was not done again"
    assert found.extents.filter(pl.col("parser") == "slow").collect()["end"].to_list() == [3] * 80
    assert list((out / "spool").iterdir()) == []


def test_workers_make_maps_like_those_made_here(cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "probed"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(b"abcdefgh")
    shown = {"shown": "dd if={} bs=4 skip=1 count=1 status=none"}
    cluster.worker()
    made = [
        fmrw.survey(folder, tmp_path / out, shown, probe=200, grain=1, **where).effects.drop("runs").collect()
        for out, where in (("there", {"scheduler": cluster.address}), ("here", {"jobs": 1}))
    ]
    there, here = (each.sort("file", "start") for each in made)
    assert there.equals(here)
    mine = there.filter(file="a")
    assert mine["class"].unique().sort().to_list() == ["content", "unread"]
    assert mine.filter(pl.col("class") == "content")["start"].min() == 4


def test_a_worker_without_fuse_says_so_and_takes_no_work(cluster: Cluster, corpus: Path) -> None:
    without = [
        *apart(),
        "sh",
        "-c",
        'mount -t tmpfs none /dev && touch /dev/null && chmod 666 /dev/null && exec "$@"',
        "sh",
    ]
    cluster.worker(*without)
    with pytest.raises(MountError, match=r"no worker of tcp://.* can take part"):
        fmrw.survey(corpus, corpus.parent / "out", {"quick": "head -c 5 {}"}, scheduler=cluster.address)
    assert "takes no part" in cluster.logs[-1].read_text()
    cluster.worker()
    notes: list[list[str]] = []
    found = fmrw.survey(
        corpus, corpus.parent / "out", {"quick": "head -c 5 {}"}, scheduler=cluster.address, watch=lambda progress: notes.append(progress.notes)
    )  # fmt: skip
    assert found.runs.collect().height == 80
    assert len(notes[0]) == 1


def test_a_scheduler_that_is_not_there(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fmrw.experiments.survey import cluster as module  # noqa: PLC0415 - Dask

    monkeypatch.setattr(module, "_CONNECT_S", 0.2)
    with pytest.raises(SessionError, match="does not answer"):
        fmrw.survey(corpus, corpus.parent / "out", {"quick": "head -c 5 {}"}, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(BadInput, match="give one of them"):
        fmrw.survey(
            corpus, corpus.parent / "out", {"quick": "head -c 5 {}"}, scheduler="x", executor=object()
        )  # type: ignore[arg-type]


def test_without_dask_the_cure_is_named(corpus: Path) -> None:
    code = f"""
import sys
sys.modules["distributed"] = None
import fmrw
try:
    fmrw.survey({str(corpus)!r}, {str(corpus.parent / "out")!r}, {{"quick": "head -c 5 {{}}"}}, scheduler="tcp://127.0.0.1:9")
except fmrw.FmrwError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert "fmrw[cluster]" in done.stdout
