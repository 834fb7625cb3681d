"""The frame: column names and types, known here and nowhere else.

One row per event. `[start, end)` is half-open everywhere; both are 0 for operations without a range,
and for `truncate` `end` is the new size. `advise` is what a program said it will need (readahead(2), posix_fadvise(2), madvise(2)): its
range is what the kernel fetched then, and it is no read. Integers are signed, and there is no Struct and no UInt64, so that
every Parquet reader opens a session.
"""

from __future__ import annotations

import polars as pl

OPS = ("read", "write", "open", "close", "truncate", "rename", "unlink", "advise")
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
        "thread": pl.String(),
    }
)
"""Columns of `Trace.events`, in order. `process` is the name of the process, which is its first thread's, `thread` that of the thread itself."""

PROCESSES = pl.Schema(
    {
        "pid": pl.Int32(),
        "tid": pl.Int32(),
        "ppid": pl.Int32(),
        "name": pl.String(),
        "exe": pl.String(),
        "cmdline": pl.String(),
        "first_seen": pl.Datetime("us", "UTC"),
        "thread": pl.String(),
    }
)
"""Columns of `Trace.processes`: one row per thread and name it has carried, or its process."""

SINCE_2 = {"thread": ("process", "name")}
"""Columns that sessions of schema 1 lack, and what stands for each there: threads had their own name as that of their process."""


def empty() -> pl.DataFrame:
    """Make a frame of events with no rows."""
    return pl.DataFrame(schema=EVENTS)


def transfers(events: pl.DataFrame) -> pl.DataFrame:
    """Keep the reads and writes that moved at least one byte."""
    return events.filter(pl.col("op").is_in(["read", "write"]), pl.col("end") > pl.col("start"))
