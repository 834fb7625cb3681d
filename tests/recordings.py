"""Recordings made up for tests: frames of events, traces that can grow, and views that look when they are told to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from fmrw.explorer.byterows import block
from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fmrw.explorer.explorer import Explorer

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = "<img src=x onerror=window.hacked=1>.zip"


def events(
    *transfers: tuple[str, int, int], size: int = 1000, first: int = 0, **columns: object
) -> pl.DataFrame:
    """Make events of one file from tuples (op, start, end), a millisecond apart; other columns by name."""
    rows = [
        {
            "seq": seq, "time": BEGIN + timedelta(milliseconds=seq), "op": op, "path": "sample.bin", "call": seq,
            "start": start, "end": end, "requested": end - start, "size": size, "fidelity": "byte", "handle": 1,
            "pid": 42, "tid": 42, "process": "parser", "errno": 0, "thread": columns.get("process", "parser"), **columns,
        }
        for seq, (op, start, end) in enumerate(transfers, first)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=schema.EVENTS)


class Growing(FrameSource):
    """A source to which events can be added, as to a live mount."""

    def __init__(self, frame: pl.DataFrame, facts: dict[str, Any]) -> None:
        super().__init__(frame, pl.DataFrame(schema=schema.PROCESSES), facts)

    def add(self, frame: pl.DataFrame) -> None:
        self._events = pl.concat([self._events, frame])


class LiveTrace(Trace):
    """A trace that says itself whether it grows, and where its session lies."""

    live = False
    folder: Path | None = None


def brute(view: Explorer, op: str, start: int, end: int) -> tuple[int, int, int]:
    """Count the accesses to the bytes [start, end), the different bytes they touched, and those to the most-touched byte."""
    rows = view.recorded.rows.filter(pl.col("op") == op, pl.col("start") < end, pl.col("end") > start)
    spans = [(max(a, start), min(b, end)) for a, b in rows.select("start", "end").rows()]
    times = Counter(byte for a, b in spans for byte in range(a, b))
    return len(spans), len(times), max(times.values(), default=0)


def seen(view: Explorer) -> str:
    """Give the bytes of the window in hexadecimal as the hex view gets them, or why there are none."""
    found = block(view, *view.window)
    return found.reason or found.content.hex(" ")


def still(view: Explorer) -> Explorer:
    """Stop the view's own clock; the test says when it follows."""
    if view._poller is not None:
        view._poller.stop()
        view._poller.thread.join()
    return view


@pytest.fixture
def trace(tmp_path: Path) -> Callable[..., LiveTrace]:
    """Make a trace of frames of events; the recorded root is `tmp_path`."""

    def make(
        *frames: pl.DataFrame, live: bool = False, folder: Path | None = None, **facts: object
    ) -> LiveTrace:
        joined = pl.concat([schema.empty(), *frames])
        made = LiveTrace(Growing(joined, {"root": str(tmp_path), **facts}))
        made.live, made.folder = live, folder
        return made

    return make
