"""Sessions and names from strangers: what cannot be is left out, or refused in one line."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from recordings import events

import fmrw
from fmrw.errors import BadInput, SessionError, UnknownPath
from fmrw.session import charts
from fmrw.session.beneath import open_below
from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import kept, schema

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "sample.bin").write_bytes(bytes(1000))
    recorded = FrameSource(
        events(("read", 0, 10)), pl.DataFrame(schema=schema.PROCESSES), {"root": str(tmp_path)}
    )
    return Trace(recorded).save(tmp_path / "session")


@pytest.mark.parametrize(
    "claimed",
    [
        {"ended": "yesterday"},
        {"ended": "0001-01-01T00:00:00+23:00"},
        {"options": {"capture": 5}},
        {"options": {"capture": ["exact"]}},
        {"without_sites": [1, {"name": 1}]},
        {"root": "\0"},
        {"renames": ["x"], "rings": [3], "lacks": [1]},
        {"files": {"sample.bin": {"size": "a", "mtime_ns": "b"}}},
    ],
    ids=str,
)
def test_facts_of_another_kind_are_left_out(session: Path, claimed: dict[str, Any]) -> None:
    known = json.loads((session / "session.json").read_text())
    (session / "session.json").write_text(json.dumps({**known, **claimed}))
    trace = fmrw.load(session)
    about = charts.about(trace, "sample.bin")
    assert about.capture is None
    assert about.date == events(("read", 0, 10))["time"].item()
    assert trace.coverage_report("sample.bin")["read"] == [[0, 10]]
    assert trace.gap_report("sample.bin").select("start", "end").rows() == [(10, 1000)]
    with pytest.raises(BadInput, match="no call sites"):
        trace.site_report("sample.bin")


@pytest.mark.parametrize(("ended", "hour"), [("2026-03-01T12:00:00+02:00", 10), ("2026-03-01T12:00:00", 12)])
def test_a_date_is_told_in_utc(ended: str, hour: int) -> None:
    shown = charts.describe("a", 1, {"ended": ended}, None)
    assert f"2026-03-01 {hour}:00:00 UTC" in shown.recorded


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, f"a/{'x' * 300}:cat", "a\0b", "\0"])
def test_names_that_no_file_can_have_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(SessionError, match="give a folder that fmrw recorded into"):
        fmrw.load(name)
    assert kept.named(name) is None


def test_a_process_whose_name_is_longer_than_names_of_files_is_looked_for(session: Path) -> None:
    with pytest.raises(fmrw.FmrwError, match="did nothing in"):
        fmrw.load(f"{session}:{'x' * 300}")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    for name in (b"folder", b"pipe", b"link", b"a\0b"):
        assert open_below(str(tmp_path), name) is None
    assert open_below("/", b"dev/null") is None


def test_a_log_that_names_time_early_is_no_csv(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        '7 execve("/opt/Time/run", ["run"], 0x7) = 0\n7 read(3</w/Time>, "a", 1) = 1\n7 close(3</w/Time>) = 0\n'
    )
    assert fmrw.load(log).files["path"].to_list() == ["/w/Time"]


def test_a_name_near_one_is_found_among_very_many(tmp_path: Path) -> None:
    many = pl.concat(
        events(("read", 0, 1), first=number, path=f"folder/{number}/part-{number:06}.bin")
        for number in range(2_100)
    )
    trace = Trace(FrameSource(many, pl.DataFrame(schema=schema.PROCESSES), {"root": str(tmp_path)}))
    with pytest.raises(UnknownPath, match=r"near it: folder/2077/part-002077\.bin"):
        trace.of("elsewhere/part-002077")
    with pytest.raises(UnknownPath, match=r"near it: folder/"):
        trace.of("nothing of this kind")
