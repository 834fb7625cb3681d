"""Load: every event is there once, and the worker stays small."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import psutil
import pytest
from processes import eventually

import fmrw as package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from processes import Cast

    Monitored = Callable[..., AbstractContextManager[package.Mount]]

pytestmark = pytest.mark.mount
MOST_MIB = 120
soak = pytest.mark.soak

WORKER = """
import os, random, sys, time
path, what, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
fd = os.open(path, os.O_RDWR)
chance = random.Random(path)
count = moved = 0
end = time.monotonic() + seconds
while time.monotonic() < end:
    start, length = chance.randrange(1 << 20), chance.randrange(1, 9000)
    moved += len(os.pread(fd, length, start)) if what == "read" else os.pwrite(fd, bytes(length), start)
    count += 1
print(count, moved)
"""


@pytest.fixture
def monitored(folder: Path, record_property: Callable[[str, object], None]) -> Monitored:
    """Mount the folder; at the end the worker's memory never was above the promised, and nothing was lost."""

    @contextmanager
    def mounted(**options: object) -> Iterator[package.Mount]:
        with package.mount(folder, **options) as mount:
            yield mount
            status = Path(f"/proc/{mount.worker_pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) >> 10
        facts = mount.trace.facts
        record_property("events", facts["events"])
        record_property("lost", facts["lost"])
        record_property("worker at most", f"{peak} MiB")
        assert (facts["lost"], facts["faults"]) == (0, 0)
        assert peak <= MOST_MIB

    return mounted


@pytest.mark.parametrize("seconds", [1, pytest.param(60, marks=soak)])
def test_writers_and_readers_side_by_side(
    cast: Cast, folder: Path, seconds: int, monitored: Monitored
) -> None:
    with monitored() as mount:
        crew = []
        for number in range(8):
            for what in ("read", "write"):
                file = folder / f"{what}{number}"
                file.write_bytes(bytes(1 << 20))
                crew.append((file.name, what, cast.program(WORKER, file, what, seconds)))
        told = {name: tuple(map(int, program.finish(600)[1].split())) for name, _what, program in crew}
    events = mount.trace.events
    assert events["seq"].is_unique().all()
    for name, what, program in crew:
        mine = events.filter(pl.col("path") == name, pl.col("pid") == program.pid, pl.col("op") == what)
        assert (mine.height, (mine["end"] - mine["start"]).sum()) == told[name]


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=soak)])
def test_processes_that_live_briefly(folder: Path, count: int, monitored: Monitored) -> None:
    with monitored() as mount:
        loop = f'for i in $(seq {count}); do head -c 10 "{folder}/file" >/dev/null; done'
        subprocess.run(["sh", "-c", loop], check=True, timeout=900)
        assert psutil.Process(mount.worker_pid).num_fds() < 3000
    reads = mount.trace.events.filter(pl.col("op") == "read", pl.col("process") == "head")
    assert reads.height == count
    assert reads["handle"].n_unique() == count
    assert reads["pid"].n_unique() == count  # 5,000 are fewer than pid_max
    assert set(mount.trace.events["process"]) == {"head"}


@pytest.mark.parametrize("count", [30_000, pytest.param(5_000_000, marks=soak)])
def test_one_byte_at_a_time(folder: Path, count: int, monitored: Monitored) -> None:
    with (folder / "zeros").open("wb") as file:
        file.truncate(count)
    with monitored(reports="off", output=folder.parent / "session") as mount:
        subprocess.run(
            ["dd", f"if={folder}/zeros", "of=/dev/null", "bs=1", f"count={count}", "status=none"], check=True, timeout=1800
        )  # fmt: skip
    assert _each_byte_once(mount, "read") == (count, count, count)


@pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=soak)])
def test_dd_counts_what_is_recorded(folder: Path, seconds: int, monitored: Monitored) -> None:
    """One signal, once it writes: dd's handler is gone after the first, and `timeout` sends two."""
    (folder / "copy").touch()
    with monitored(output=folder.parent / "session") as mount:
        dd = subprocess.Popen(
            ["dd", "if=/dev/zero", f"of={folder}/copy", "bs=1"],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        eventually(lambda: (folder / "copy").stat().st_size, "dd writes")
        with suppress(subprocess.TimeoutExpired):
            dd.wait(seconds)
        dd.send_signal(signal.SIGINT)
        said = dd.communicate(timeout=600)[1]
    count = int(re.search(r"(\d+)\+0 records out", said)[1])
    assert (folder / "copy").stat().st_size == count
    assert _each_byte_once(mount, "write") == (count, count, count)


def _each_byte_once(mount: package.Mount, op: str) -> tuple[int, int, int]:
    """Give the number of calls, of their different places, and of the bytes they moved."""
    moved = (pl.col("end") - pl.col("start")).sum().alias("bytes")
    calls = mount.trace.lazy.filter(pl.col("op") == op)
    return calls.select(pl.len(), pl.col("start").n_unique(), moved).collect().row(0)


@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=soak)])
def test_a_large_directory(folder: Path, count: int, monitored: Monitored) -> None:
    for number in range(count):
        (folder / f"f{number}").write_bytes(b"%d" % number)
    with monitored() as mount:
        names = {entry.name for entry in os.scandir(folder)}
        assert len(names) == 3 * (count + 1)  # each with its two reports
        listed = subprocess.run(["ls", "-l", folder], check=True, capture_output=True, timeout=900)
        assert listed.stdout.count(b"\n") == 3 * (count + 1) + 1
        read = "import sys\nfor n in range(int(sys.argv[2])):\n assert open(f'{sys.argv[1]}/f{n}','rb',0).read(20)==b'%d'%n"
        subprocess.run([sys.executable, "-c", read, folder, str(count)], check=True, timeout=900)
    counts = dict(mount.trace.events["op"].value_counts().rows())
    assert (counts["open"], counts["close"]) == (count, count)
    assert mount.trace.events.filter(pl.col("op") == "read")["path"].n_unique() == count


def test_many_threads_of_one_process(folder: Path) -> None:
    code = """
import os, sys, threading
fd = os.open(sys.argv[1], os.O_RDONLY)
def work(number):
    for _ in range(100):
        os.pread(fd, 7, number)
threads = [threading.Thread(target=work, args=(n,)) for n in range(40)]
[t.start() for t in threads]; [t.join() for t in threads]
"""
    with package.mount(folder) as mount:
        done = subprocess.run([sys.executable, "-c", code, folder / "file"], check=False, timeout=600)
        assert done.returncode == 0
        before = psutil.Process(mount.worker_pid).num_threads()
        assert before < 300
    reads = mount.trace.events.filter(pl.col("op") == "read")
    assert reads.height == 4000
    assert dict(reads["start"].value_counts().rows()) == dict.fromkeys(range(40), 100)
    assert reads["tid"].n_unique() == 40
    assert reads["pid"].n_unique() == 1


def test_large_calls_of_many_programs_come_out_whole(folder: Path) -> None:
    size = 3_000_017
    (folder / "big").write_bytes(os.urandom(1 << 16) * 46)
    code = f"import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); b = bytearray({size}); [os.preadv(fd, [b], n) for n in range(20)]"
    with package.mount(folder) as mount, ThreadPoolExecutor(6) as pool:
        jobs = [
            pool.submit(subprocess.run, [sys.executable, "-c", code, folder / "big"], check=True, timeout=600)
            for _ in range(6)
        ]
        for job in jobs:
            job.result()
    reads = mount.trace.events.filter(pl.col("op") == "read")
    assert reads.height == 6 * 20
    assert set(reads["requested"]) == {size}
    assert ((reads["end"] - reads["start"]) == pl.Series([size] * 120)).all()
