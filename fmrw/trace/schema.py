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
        "site": pl.Int32(),
    }
)
"""Columns of `Trace.events`, in order. `process` is the name of the process, which is its first thread's, `thread` that of the thread itself;
`site` is the code that asked, a number in `SITES`, and null where that is not known or was not recorded."""

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

SITES = pl.Schema(
    {
        "site": pl.Int32(),
        "depth": pl.Int32(),
        "module": pl.String(),
        "build_id": pl.String(),
        "offset": pl.Int64(),
        "function": pl.String(),
        "quality": pl.String(),
        "line": pl.String(),
    }
)
"""Columns of `Trace.sites`: one row per frame of each call site, the innermost (depth 0) first.

`offset` is the distance from the module's beginning in memory, as `strace -k` prints it, or an address where no file is mapped: where the function goes
on, so behind the call for all frames but the innermost. `nm` and `addr2line` count the same, but in programs linked to fixed addresses. `quality` says how the frame was found: `cfi` by unwind tables, `gopclntab` by the table of a
Go program, `python` in the memory of an interpreter, `fault` as the instruction that touched a page; `scan` is a guess.
"""

NULLABLE = frozenset({"site"})
"""Columns in which values may be missing; sessions before schema 3 lack them."""

SINCE_2 = {"thread": ("process", "name")}
"""Columns that sessions of schema 1 lack, and what stands for each there: threads had their own name as that of their process."""


def empty() -> pl.DataFrame:
    """Make a frame of events with no rows."""
    return pl.DataFrame(schema=EVENTS)


def transfers(events: pl.DataFrame) -> pl.DataFrame:
    """Keep the reads and writes that moved at least one byte."""
    return events.filter(pl.col("op").is_in(["read", "write"]), pl.col("end") > pl.col("start"))
