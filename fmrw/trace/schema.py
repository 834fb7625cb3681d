"""The frame: column names and types, known here and nowhere else.

One row per event. `[start, end)` is half-open everywhere; both are 0 for operations without a range,
and for `truncate` `end` is the new size. Integers are signed, and there is no Struct and no UInt64, so that
every Parquet reader opens a session.
"""

from __future__ import annotations

import polars as pl

OPS = ("read", "write", "open", "close", "truncate", "rename", "unlink")
FIDELITIES = ("byte", "page")

EVENTS = pl.Schema(
    {
        "seq": pl.Int64(),
        "time": pl.Datetime("us", "UTC"),
        "op": pl.Enum(OPS),
        "path": pl.String(),
        "call": pl.Int64(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "requested": pl.Int64(),
        "size": pl.Int64(),
        "fidelity": pl.Enum(FIDELITIES),
        "handle": pl.Int64(),
        "pid": pl.Int32(),
        "tid": pl.Int32(),
        "process": pl.String(),
        "errno": pl.Int32(),
    }
)
"""Columns of `Trace.events`, in order."""

PROCESSES = pl.Schema(
    {
        "pid": pl.Int32(),
        "tid": pl.Int32(),
        "ppid": pl.Int32(),
        "name": pl.String(),
        "exe": pl.String(),
        "cmdline": pl.String(),
        "first_seen": pl.Datetime("us", "UTC"),
    }
)
"""Columns of `Trace.processes`: one row per thread and name it has carried."""


def empty() -> pl.DataFrame:
    """Make a frame of events with no rows."""
    return pl.DataFrame(schema=EVENTS)


def transfers(events: pl.DataFrame) -> pl.DataFrame:
    """Keep the reads and writes that moved at least one byte."""
    return events.filter(pl.col("op").is_in(["read", "write"]), pl.col("end") > pl.col("start"))
