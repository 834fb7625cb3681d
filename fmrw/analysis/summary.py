"""Summary: one row per file (how much was read, the largest gap), one row per process (which program it really was)."""

from __future__ import annotations

import polars as pl

from fmrw.trace import exactness
from fmrw.trace.merged import NOBODY_PID, merged

FILES = pl.Schema(
    {
        "path": pl.String(),
        "size": pl.Int64(),
        "bytes_read": pl.Int64(),
        "covered": pl.Float64(),
        "reads": pl.Int64(),
        "writes": pl.Int64(),
        "bytes_written": pl.Int64(),
        "largest_gap": pl.Int64(),
        "largest_gap_start": pl.Int64(),
        "processes": pl.String(),
        "fidelity": pl.String(),
        "advised": pl.Int64(),
        "smallest_request": pl.Int64(),
    }
)

BY_PROGRAM = pl.Schema(
    {"path": pl.String(), "program": pl.String(), **{k: v for k, v in FILES.items() if k != "path"}}
)

PROCESSES = pl.Schema(
    {
        "pid": pl.Int32(),
        "name": pl.String(),
        "exe": pl.String(),
        "cmdline": pl.String(),
        "reads": pl.Int64(),
        "writes": pl.Int64(),
    }
)
_NUMBERED = 3  # processes of one name that are told by number
_BETWEEN = "\0"  # no name holds it


def files(events: pl.LazyFrame | pl.DataFrame) -> pl.DataFrame:
    """Sum the events up by file.

    Parameters
    ----------
    events
        Frame of events of any number of files.

    Returns
    -------
    frame of `FILES`
        Sorted by path. `bytes_read` and `bytes_written` count each byte once and only below `size`, the size after the
        file's last event; `covered` is `bytes_read / size` (null for an empty file); `largest_gap` is the longest range
        no read touched. `processes` names who read or wrote it, the first numbers of each name in brackets: `7z [4711]`.
        Counts are of calls that moved at least one byte; `advised` counts what programs only said they will need. A file that was
        only opened is there too.
        `fidelity` is `byte`, or `page` where a range is whole pages, null where nothing was read or written; `smallest_request`
        the bytes of the smallest request to read (null if there is none): what a program looked at may be less.
    """
    return of_merged(merged(events))


def of_merged(found: pl.DataFrame) -> pl.DataFrame:
    """Sum up by file what was merged before.

    Parameters
    ----------
    found : frame of `fmrw.trace.merged.MERGED`
        Merged ranges of any number of files.

    Returns
    -------
    frame of `FILES`
        As `files` gives it.
    """
    return (
        found.lazy()
        .group_by("path")
        .agg(_size(), *_counts(), *_sets())
        .join(_callers(found.lazy()), on="path", how="left")
        .with_columns(pl.col("processes").fill_null(""))
        .with_columns(
            _distinct("read").alias("bytes_read"), _distinct("write").alias("bytes_written"), *_gaps()
        )
        .with_columns(covered=pl.when(pl.col("size") > 0).then(pl.col("bytes_read") / pl.col("size")))
        .select(pl.col(name).cast(kind) for name, kind in FILES.items())
        .sort("path")
        .collect()
    )


def by_program(found: pl.DataFrame) -> pl.DataFrame:
    """Sum up what each program did with each file it read or wrote.

    Parameters
    ----------
    found : frame of `fmrw.trace.merged.MERGED`
        Merged ranges of any number of files, those of each process by themselves (`Merging(by_process=…)`).

    Returns
    -------
    frame of `BY_PROGRAM`
        As `files`, with one row for each file and name of a process, in the order in which they were done with it; files by their names. `size` is that of the
        file. Where the ranges were too many to be held apart, `bytes_read`, `bytes_written`, `covered` and the largest gap are null.
    """
    sizes = found.lazy().group_by("path").agg(file_size=_size())
    apart = found.lazy().filter(pl.col("pid") != NOBODY_PID).join(sizes, on="path")
    keyed = apart.with_columns(
        path=pl.concat_str(pl.col("path"), pl.col("process").fill_null(""), separator=_BETWEEN),
        size=pl.when(pl.col("events") > 0).then(pl.col("file_size")).otherwise(pl.col("size")),
    )
    last = apart.group_by("path", program=pl.col("process").fill_null("")).agg(last=pl.col("seq").max())
    key = pl.col("path").str.split(_BETWEEN)
    unknown = pl.lit((found["pid"] == NOBODY_PID).any())
    ranged = ("bytes_read", "covered", "bytes_written", "largest_gap", "largest_gap_start")
    return (
        of_merged(keyed.select(found.columns).collect())
        .lazy()
        .filter(pl.col("reads") + pl.col("writes") + pl.col("advised") > 0)
        .with_columns(path=key.list.first(), program=key.list.last())
        .with_columns(pl.when(~unknown).then(pl.col(name)).alias(name) for name in ranged)
        .join(last, on=["path", "program"])
        .sort("path", "last", "program")
        .select(pl.col(name).cast(kind) for name, kind in BY_PROGRAM.items())
        .collect()
    )


def processes(events: pl.LazyFrame | pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Say which program each process was that read or wrote, whatever it called itself.

    Parameters
    ----------
    events
        Frame of events.
    known : frame of schema.PROCESSES
        What is known of the processes; rows for others stay empty.

    Returns
    -------
    frame of `PROCESSES`
        One row for each process and name it read or wrote under, sorted by process; `reads` and `writes` are calls that moved at
        least one byte. `exe` and `cmdline` are those when it was first seen under the name, empty where they could not be looked at.
    """
    facts = (
        known.lazy()
        .unique(["pid", "name"], keep="first", maintain_order=True)
        .select("pid", "name", "exe", "cmdline")
    )
    return (
        events.lazy()
        .filter(pl.col("op").is_in(["read", "write"]))
        .group_by("pid", name=pl.col("process"))
        .agg(_moved("read").sum().alias("reads"), _moved("write").sum().alias("writes"))
        .join(facts, on=["pid", "name"], how="left")
        .with_columns(pl.col("exe", "cmdline").fill_null(""))
        .select(pl.col(name).cast(kind) for name, kind in PROCESSES.items())
        .sort("pid", "name")
        .collect()
    )


def _size() -> pl.Expr:
    """Give the size after the last event that tells one: a removal does not, nor a renaming recorded without the file's size."""
    silent = (pl.col("op") == "unlink") | ((pl.col("op") == "rename") & (pl.col("size") == 0))
    told = ~silent & (pl.col("events") > 0)
    return (
        pl.col("size").filter(told).get(pl.col("seq").filter(told).arg_max(), null_on_oob=True).fill_null(0)
    )


def _moved(op: str) -> pl.Expr:
    return (pl.col("op") == op) & (pl.col("end") > pl.col("start"))


def _counts() -> list[pl.Expr]:
    moved = pl.col("op").is_in(["read", "write"])
    page = (moved & (pl.col("fidelity") == exactness.PAGE)).any()
    return [
        pl.col("transfers").filter(pl.col("op") == "read").sum().alias("reads"),
        pl.col("transfers").filter(pl.col("op") == "write").sum().alias("writes"),
        pl.when(page)
        .then(pl.lit(exactness.PAGE))
        .when(pl.col("transfers").filter(moved).sum() > 0)
        .then(pl.lit(exactness.BYTE))
        .alias("fidelity"),
        pl.col("smallest")
        .filter(pl.col("op") == "read", pl.col("smallest") > 0)
        .min()
        .alias("smallest_request"),
        pl.col("events").filter(pl.col("op") == "advise").sum().alias("advised"),
    ]


def _callers(found: pl.LazyFrame) -> pl.LazyFrame:
    """Name who read or wrote each file, with numbers: a process can call itself what it likes."""
    some = pl.col("pid").head(_NUMBERED).cast(pl.String).str.join(", ")
    more = pl.len().cast(pl.Int64) - _NUMBERED
    rest = pl.when(more > 0).then(pl.format(" and {} more", more)).otherwise(pl.lit(""))
    return (
        found.filter(pl.col("op").is_in(["read", "write"]), pl.col("events") > 0)
        .select("path", "process", "pid")
        .unique()
        .sort("process", "pid")
        .group_by("path", "process", maintain_order=True)
        .agg(pl.format("{} [{}{}]", pl.col("process").first(), some, rest).alias("processes"))
        .group_by("path", maintain_order=True)
        .agg(pl.col("processes").str.join(", "))
    )


def _sets() -> list[pl.Expr]:
    """Give, per file and direction, the sorted starts and ends of all transfers.

    Sorted apart from each other they are enough: a merged range begins where a start lies past the end before it.
    """
    return [
        pl.col(edge).filter(_moved(op)).sort().alias(f"{op}_{edge}")
        for op in ("read", "write")
        for edge in ("start", "end")
    ]


def _below_size(edge: pl.Expr) -> pl.Expr:
    return pl.min_horizontal(edge, pl.col("size"))


def _distinct(op: str) -> pl.Expr:
    """Count the bytes below `size` that at least one transfer touched: the last end minus the gaps before it."""
    gaps = _gap_lengths(op).list.sum()
    last = pl.min_horizontal(pl.col(f"{op}_end").list.last().fill_null(0), pl.col("size"))
    return last - gaps


def _gap_lengths(op: str) -> pl.Expr:
    """Give the gaps before each start: from the end before it, or from 0, as far as they lie below `size`."""
    starts, ends = pl.col(f"{op}_start"), pl.col(f"{op}_end")
    before = pl.concat_list(pl.lit(0, pl.Int64), ends).list.head(starts.list.len())
    return (_clipped(starts) - _clipped(before)).list.eval(pl.element().clip(lower_bound=0))


def _clipped(edges: pl.Expr) -> pl.Expr:
    over = (edges - pl.col("size")).list.eval(pl.element().clip(lower_bound=0))
    return edges - over


def _gaps() -> list[pl.Expr]:
    starts, ends = pl.col("read_start"), pl.col("read_end")
    inner = _gap_lengths("read")
    tail = (pl.col("size") - pl.min_horizontal(ends.list.last().fill_null(0), pl.col("size"))).clip(
        lower_bound=0
    )
    longest_inner = inner.list.max().fill_null(0)
    before = pl.concat_list(pl.lit(0, pl.Int64), ends).list.head(starts.list.len())
    place = before.list.get(inner.list.arg_max(), null_on_oob=True)
    return [
        pl.max_horizontal(longest_inner, tail).alias("largest_gap"),
        pl.when(longest_inner >= tail)
        .then(place.fill_null(0))
        .otherwise(pl.col("size") - tail)
        .alias("largest_gap_start"),
    ]
