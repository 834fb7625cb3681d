"""Reports in a session's own folder."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import events

import fmrw
from fmrw.session import rendering, reports
from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import schema

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session of three files that are called as its own."""
    frames = [
        events(("read", 0, 8), first=number, path=path)
        for number, path in enumerate(("events", "session", "annotations"))
    ]
    recorded = Trace(FrameSource(pl.concat(frames), pl.DataFrame(schema=schema.PROCESSES), {"root": "/r"}))
    return recorded.save(tmp_path / "session")


def test_reports_of_files_called_as_the_sessions_own_leave_these_alone(session: Path) -> None:
    fmrw.load(session).annotate("events", [(0, 4, "magic")])
    before = {path.name: path.read_bytes() for path in session.iterdir()}
    written = reports.write(fmrw.load(session), session, ["parquet", "json"])
    assert len({*written}) == 6
    assert {name: (session / name).read_bytes() for name in before} == before
    assert fmrw.load(session).files["path"].to_list() == ["annotations", "events", "session"]


@pytest.mark.parametrize(
    ("path", "suffix", "name"),
    [
        ("events", ".parquet", "_events.parquet"),
        ("events", ".csv", "events.csv"),
        ("probe", ".json", "_probe.json"),
        ("effects", ".parquet", "_effects.parquet"),
        ("events/a", ".parquet", "events/a.parquet"),
        ("journal/a", ".csv", "_journal/a.csv"),
    ],
)
def test_only_names_that_are_taken_are_changed(path: str, suffix: str, name: str) -> None:
    assert str(reports.report_name(path, suffix)) == name


def test_a_report_that_fails_leaves_no_file_behind(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(rendering.MAKERS, "csv", fails)
    before = sorted(session.iterdir())
    with pytest.raises(OSError, match="No space left"):
        rendering.render(str(session), "events", "csv")
    assert sorted(session.iterdir()) == before
