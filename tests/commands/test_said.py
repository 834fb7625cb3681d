"""What a recording is said to hold."""

from __future__ import annotations

import io

import polars as pl
import pytest
from recordings import events
from rich.console import Console

from fmrw.commands.query import told_of
from fmrw.commands.tables import trace_tables
from fmrw.session.overview import Overview
from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import schema


def shown(frame: pl.DataFrame) -> str:
    told = io.StringIO()
    trace = Trace(FrameSource(frame, pl.DataFrame(schema=schema.PROCESSES), {}))
    Console(file=told, width=200).print(*trace_tables(trace), sep="\n")
    return told.getvalue()


def test_tables_and_json_of_one_overview_are_those_of_the_recording() -> None:
    frame = events(("read", 10, 20), ("read", 50, 60), ("write", 0, 5))
    trace = Trace(FrameSource(frame, pl.DataFrame(schema=schema.PROCESSES), {}))
    overview = Overview.of(trace)
    data = told_of(trace, overview)
    assert data == told_of(trace)
    assert data["files"] == trace.files.to_dicts()
    assert data["programs"] == trace.by_program().to_dicts()
    assert list(map(str, trace_tables(trace, overview))) == list(map(str, trace_tables(trace)))


@pytest.mark.parametrize("times", [0, 3])
def test_advice_is_shown_apart(times: int) -> None:
    text = shown(events(("read", 10, 20), *[("advise", 0, 900)] * times))
    row = next(line for line in text.splitlines() if line.startswith("sample.bin"))
    assert row.split()[1:5] == ["1,000", "10", "1.0", "%"]
    assert ("advice, which is no read (op `advise`): 3" in text) is (times == 3)
    assert "(pages)" not in text
