"""Surveys with a probe: maps of each file by each parser, bounded, kept, gone on with, shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

import fmrw
from fmrw.errors import BadInput, SessionError, SessionExists
from fmrw.experiments.survey import part, rows
from fmrw.experiments.survey.mapping import LEAST
from fmrw.experiments.survey.plan import Folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fmrw.experiments.survey.mapping import Map
    from fmrw.experiments.survey.results import Survey

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

# Reads the first eight bytes: the first two are checked, the next two shown, the rest ignored.
MAGIC = """sh -c 'head=$(head -c 8 "$0"); case $head in OK*) ;; *) exit 3;; esac; rest=${head#OK}; echo "${rest%????}"' {}"""
SHOWN = "dd if={} bs=4 skip=1 count=1 status=none"
TWO = {"magic": MAGIC, "shown": SHOWN}
MOST = 400


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        (folder / name).write_bytes(b"OKxyzzzz----")
    (folder / "bad").write_bytes(b"KOxyzzzz----")
    (folder / "empty").touch()
    return folder


def survey(corpus: Path, parsers: dict[str, str] = TWO, probe: int = MOST, **options: Any) -> Survey:  # noqa: ANN401 - as `fmrw.survey` has them
    with ThreadPoolExecutor(1) as own:
        return fmrw.survey(
            corpus, corpus.parent / "out", parsers, probe=probe, grain=1, executor=own, **options
        )


def effects(found: Survey, parser: str, file: str) -> list[tuple[int, int, str | None]]:
    own = found.effects.filter(pl.col("parser") == parser, pl.col("file") == file).collect()
    return own.sort("start").select("start", "end", "class").rows()


def joined(ranges: list[tuple[int, int, str | None]]) -> list[tuple[int, int, str | None]]:
    """Join neighbours of one class."""
    found: list[tuple[int, int, str | None]] = []
    for start, end, kind in ranges:
        if found and found[-1][1:] == (start, kind):
            found[-1] = found[-1][0], end, kind
        else:
            found.append((start, end, kind))
    return found


def test_each_file_has_a_map_by_each_parser(corpus: Path) -> None:
    before = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    found = survey(corpus)
    for name in ("a", "deep/b"):
        assert joined(effects(found, "magic", name)) == [
            (0, 2, "checked"), (2, 4, "content"), (4, 8, "ignored"), (8, 12, "unread"),
        ]  # fmt: skip
        assert joined(effects(found, "shown", name)) == [
            (0, 4, "unread"),
            (4, 8, "content"),
            (8, 12, "unread"),
        ]
    assert joined(effects(found, "shown", "bad")) == [(0, 4, "unread"), (4, 8, "content"), (8, 12, "unread")]
    assert effects(found, "magic", "empty") == []
    frame = found.effects.collect()
    assert frame.drop("parser").schema == rows.EFFECTS
    assert frame["complete"].all()
    assert frame["runs"].max() <= MOST  # type: ignore[operator]  # there are rows
    assert {path: path.read_bytes() for path in before} == before
    assert found.runs.collect().height == 8


def test_ranges_cover_each_file_however_few_runs_there_are(corpus: Path) -> None:
    found = survey(corpus, probe=LEAST)
    frame = found.effects.collect()
    assert frame["runs"].max() == LEAST
    assert not frame.filter(pl.col("parser") == "magic", pl.col("file") == "a")["complete"].any()
    for each in frame.sort("start").partition_by("parser", "file"):
        assert (each["start"][0], each["end"][-1]) == (0, 12)
        assert each["end"].to_list()[:-1] == each["start"].to_list()[1:]


def test_classes_are_counted(corpus: Path) -> None:
    found = survey(corpus, {"shown": SHOWN})
    assert found.effects_by_class.rows() == [
        ("shown", "unread", 3, 24, 24 / 36),
        ("shown", "content", 3, 12, 12 / 36),
    ]
    runs = found.effects.group_by("file").agg(pl.col("runs").first()).collect()["runs"].sum()
    assert found.maps.rows() == [("shown", 3, 3, 36, runs)]


def test_who_hangs_is_not_probed(corpus: Path) -> None:
    found = survey(corpus, {"hang": "sh -c 'sleep 1000' {}"}, timeout=0.3, files="bad").effects.collect()
    assert found.select("start", "end", "class", "complete", "runs").rows() == [(0, 12, None, False, 0)]
    assert found["effect"][0] == "not probed: the program does not end in time on the unaltered file"


def test_a_file_that_changes_meanwhile_has_no_map(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = part.mapped

    def changing(runs: Any, path: bytes, *arguments: Any, **options: Any) -> Map:  # noqa: ANN401 - as it is called
        found = true(runs, path, *arguments, **options)
        if path.endswith(b"/a"):
            os.utime(path, ns=(1, 1))
        return found

    monkeypatch.setattr(part, "mapped", changing)
    found = survey(corpus, {"shown": SHOWN}, files="[ab]*")
    assert effects(found, "shown", "a") == [(0, 12, None)]
    assert len(effects(found, "shown", "bad")) > 1


# Going on


def stopping(monkeypatch: pytest.MonkeyPatch, after: int) -> list[bytes]:
    """Let mapping fail after so many maps; give the list of files that are mapped."""
    true: Callable[..., Map] = part.mapped
    made: list[bytes] = []

    def mapped(runs: Any, path: bytes, *arguments: Any, **options: Any) -> Map:  # noqa: ANN401 - as it is called
        if len(made) == after:
            raise OSError(28, "no space left")
        found = true(runs, path, *arguments, **options)
        made.append(path)
        return found

    monkeypatch.setattr(part, "mapped", mapped)
    return made


def test_maps_that_are_done_are_not_made_again(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        made = stopping(patched, after=3)
        with pytest.raises(SessionError, match="could not be run"):
            survey(corpus, probe=LEAST)
        assert len(made) == 3
    out = corpus.parent / "out"
    kept = [json.loads(line) for each in out.glob("spool/*.jsonl") for line in each.read_bytes().splitlines()]
    assert sum("ranges" in line for line in kept) == 1  # the other two are of a part that is done
    with monkeypatch.context() as patched:
        again = stopping(patched, after=-1)
        found = survey(corpus, probe=LEAST)
    assert len(made) + len(again) == 8
    assert found.maps["files"].to_list() == [3, 3]
    assert list((out / "spool").iterdir()) == []
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    survey(corpus, probe=LEAST)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == before


def test_another_number_of_runs_is_another_survey(corpus: Path) -> None:
    survey(corpus, {"shown": SHOWN}, probe=LEAST, files="a")
    with pytest.raises(SessionExists, match="probe differ"):
        survey(corpus, {"shown": SHOWN}, probe=0, files="a")


def test_too_few_runs_are_refused(corpus: Path) -> None:
    for few in (-1, LEAST - 1):
        with pytest.raises(BadInput, match="at least 16 runs"):
            survey(corpus, probe=few)
    assert not (corpus.parent / "out").exists()


def test_a_survey_of_an_earlier_version_is_read_and_gone_on_with(corpus: Path) -> None:
    found = survey(corpus, {"shown": SHOWN}, probe=0)
    plan = found.folder / "survey.json"
    known = json.loads(plan.read_text())
    del known["probe"]
    plan.write_text(json.dumps(known | {"schema": 1}))
    assert Folder(found.folder).plan().probe == 0
    again = survey(corpus, {"shown": SHOWN}, probe=0)
    assert again.effects.collect().height == again.effects_by_class.height == again.maps.height == 0
    assert "What the bytes do" not in again.report().read_text()


# Shown


def test_other_engines_read_the_maps(corpus: Path) -> None:
    found = survey(corpus, {"shown": SHOWN}, files="[ab]*")
    question = f"SELECT file, start, \"end\", class, parser FROM read_parquet('{found.folder}/effects/*/*.parquet') ORDER BY file, start"  # noqa: S608 - our own folder
    polars = found.effects.sort("file", "start").select("file", "start", "end", "class", "parser").collect()
    assert duckdb.sql(question).fetchall() == polars.rows()


def test_the_command_makes_maps_and_shows_them(corpus: Path) -> None:
    out = corpus.parent / "out"
    fmrw_ = [sys.executable, "-m", "fmrw", "survey"]
    asked = [
        *fmrw_,
        corpus,
        "-o",
        out,
        "-p",
        f"shown={SHOWN}",
        "--jobs",
        "1",
        "--probe",
        "--probe-runs",
        "99",
    ]
    subprocess.run(asked, check=True, capture_output=True)
    told = subprocess.run([*fmrw_, "report", out], check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in told.splitlines()]
    assert ["unread", "66.7", "%"] in lines
    assert ["content", "33.3", "%"] in lines
    assert ["complete", "maps", "3", "of", "3"] in lines
    found = json.loads(
        subprocess.run([*fmrw_, "report", out, "--json"], check=True, capture_output=True).stdout
    )
    assert [(row["class"], row["bytes"]) for row in found["effects"]] == [("unread", 24), ("content", 12)]
    assert found["maps"][0]["complete"] == 3
    page = (out / "report.html").read_text()
    assert "What the bytes do" in page
    assert "66.7 %" in page
