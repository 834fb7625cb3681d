"""Sessions that the build before recorded, kept as they were: they load unchanged, sealed and not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import polars as pl
import pytest

import fmrw
from fmrw.capture.recorder import journal
from fmrw.trace import schema, store
from fmrw.trace.version import SCHEMA

KEPT = Path(__file__).parent / "sessions_of_schema_1"
EVENTS = [
    ("open", "data", 0, 0, "python3"),
    ("read", "data", 0, 100, "python3"),
    ("read", "data", 4000, 4050, "python3"),
    ("read", "data", 8000, 8010, "parser-worker"),
    ("write", "data", 10240, 10247, "python3"),
    ("truncate", "data", 0, 10000, "python3"),
    ("close", "data", 0, 0, "python3"),
    ("rename", "data", 0, 0, "python3"),
    ("open", "new", 0, 0, "python3"),
    ("unlink", "new", 0, 0, "python3"),
    ("close", "new", 0, 0, "python3"),
]


@pytest.fixture(params=["sealed", "unsealed"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(KEPT / request.param, tmp_path / "session"))
    for segment in folder.glob("journal/*.events"):  # kept without the places that nothing was written to
        os.truncate(segment, journal.SEGMENT_BYTES)
    return folder


def test_an_older_session_loads(session: Path) -> None:
    trace = fmrw.load(session)
    assert trace.events.schema == schema.EVENTS
    assert trace.events.select("op", "path", "start", "end", "process").rows() == EVENTS
    assert trace.events["thread"].to_list() == trace.events["process"].to_list()
    assert trace.coverage("data").rows() == [(0, 100), (4000, 4050), (8000, 8010)]
    assert trace.files.filter(path="data").select("reads", "writes", "advised").row(0) == (3, 1, 0)
    assert trace.processes.schema == schema.PROCESSES
    assert set(trace.processes["thread"]) == {"python3", "parser-worker"}
    assert trace.facts["events"] == len(EVENTS)


def test_an_older_session_is_saved_as_one_of_today(session: Path, tmp_path: Path) -> None:
    saved = fmrw.load(session).save(tmp_path / "saved")
    assert store.read_facts(saved)["schema"] == SCHEMA
    assert pl.read_parquet(saved / store.EVENTS).columns == schema.EVENTS.names()
    assert fmrw.load(saved).events.equals(fmrw.load(session).events)
    assert fmrw.load(saved).facts["started"] == fmrw.load(session).facts["started"]


def test_an_older_session_that_is_sealed_now_says_that_it_is_newer(session: Path) -> None:
    if not store.is_sealed(session):
        before = fmrw.load(session).events
        store.seal(session)
        assert store.read_facts(session)["schema"] == SCHEMA
        assert fmrw.load(session).events.equals(before)
    assert fmrw.load(session).events.height == len(EVENTS)


def test_documented_columns_come_first() -> None:
    documented = "seq time op path call start end requested size fidelity handle pid tid process errno"
    assert schema.EVENTS.names()[:15] == documented.split()
    assert schema.EVENTS.names()[15:] == ["thread", "site"]
