"""Interval verbs on frames: frame in, frame out, lazy in, lazy out, nothing mutated.

An *extent* is a row with integer columns `start` and `end`, the half-open byte range [start, end); other columns
are welcome. Two kinds of verbs, named as bioframe names them where it has the verb:

- sets, as a frame `start, end` (Int64) of sorted ranges that neither overlap nor touch: `merge`, `union`,
  `intersect`, `subtract`, `complement`, and `by_process`, one set per process;
- rows and numbers: `select`, `overlap`, `covered`, `coverage`, `depth`, `rereads`, `first_touch`.

What counts. An extent without bytes (`end <= start`, or null) covers nothing and every verb drops it. Where the frame
has a column `op`, only reads and writes count: the `end` of a truncate is a size, not a place. Offsets are any signed
64-bit integers, 2⁶² as well as 0. Only `complement` and `coverage` know of an end of the file: pass the size the answer
shall be about. What lies past it (the file shrank, or was written beyond) is no gap and no coverage but `beyond`;
an empty file has no gaps, and its covered share is null.

Why sorting starts and ends *separately* is enough. Let S and E be both sorted. Before S[i], at most i extents have
ended; exactly i have if and only if E[i-1] < S[i], so there, and only there, a merged range begins (`_merged`). Of
two sets, at most two ranges hold any byte; the stretches two ranges hold are [S[i+1], E[i]) (`_twice`), and subtracting
is holding in common with the outside. No pairing, no loop: two sorts and a comparison.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from fmrw.errors import BadInput, BadRange

if TYPE_CHECKING:
    from collections.abc import Callable

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
AnyFrame = pl.DataFrame | pl.LazyFrame

RANGE = pl.Schema({"start": pl.Int64(), "end": pl.Int64()})
FIRST_TOUCH = pl.Schema({**RANGE, "seq": pl.Int64()})
TRANSFERS = ("read", "write")


def select(extents: Frame, start: int, end: int) -> Frame:
    """Keep the extents that share at least one byte with [start, end)."""
    _check_range(start, end)
    shares = (pl.col("start") < end) & (pl.col("end") > start) & pl.lit(start < end)
    return _as(extents, _rows(extents).filter(shares))


def merge(extents: Frame) -> Frame:
    """Join extents that overlap or touch.

    Returns
    -------
    frame of `start`, `end`
        Sorted; between any two ranges lies at least one byte that no extent covers.
    """
    return _as(extents, _merge(extents))


def union(a: Frame, b: AnyFrame) -> Frame:
    """Give the bytes in `a` or in `b`, as a set."""
    return _as(a, _merge(pl.concat([_ranges(a), _ranges(b)])))


def intersect(a: Frame, b: AnyFrame) -> Frame:
    """Give the bytes in `a` and in `b`, as a set."""
    return _as(a, _twice(_merge(a), _merge(b)))


def subtract(a: Frame, b: AnyFrame) -> Frame:
    """Give the bytes in `a` and not in `b`, as a set.

    bioframe's `subtract` cuts every row of `a` by itself; this is `merge` of its answer.
    """
    return _as(a, _subtract(_merge(a), _merge(b)))


def complement(extents: Frame, size: int) -> Frame:
    """Give the gaps: the bytes of [0, size) that no extent covers, as a set."""
    _check_range(0, size)
    return _as(extents, _subtract(_whole(size), _merge(extents)))


def by_process(events: Frame) -> Frame:
    """Merge the extents of each process by themselves.

    Returns
    -------
    frame of `pid`, `process`, `start`, `end`
        One set per (pid, process), sorted by all four.
    """
    one = ["pid", "process"]
    ordered = _rows(events).group_by(one).agg(*_sorted()).explode("start", "end")
    sets = ordered.group_by(one, maintain_order=True).agg(*_merged()).explode("start", "end")
    return _as(events, sets.sort(*one, "start"))


def overlap(a: Frame, b: AnyFrame) -> Frame:
    """Pair every extent of `a` with every extent of `b` it shares a byte with.

    bioframe's `overlap(a, b, how="inner", return_overlap=True)`.

    Returns
    -------
    frame
        The columns of `a`, those of `b` with `_` appended, and the shared bytes as `overlap_start` and
        `overlap_end`. The order of the rows is not promised. A full product in the worst case.
    """
    other = _rows(b).rename(lambda name: f"{name}_")
    pairs = _rows(a).join_where(other, pl.col("start") < pl.col("end_"), pl.col("end") > pl.col("start_"))
    shared = pairs.with_columns(
        overlap_start=pl.max_horizontal("start", "start_"), overlap_end=pl.min_horizontal("end", "end_")
    )
    return _as(a, shared)


def covered(regions: Frame, extents: AnyFrame) -> Frame:
    """Append to each region a column `covered`: how many of its bytes at least one extent covers.

    bioframe's `coverage`. Every region stays, in its place; one without bytes has 0.
    """
    from fmrw.analysis import places  # noqa: PLC0415 - numpy

    _check_columns(regions)
    schema = pl.Schema({**regions.lazy().collect_schema(), "covered": pl.Int64()})
    measure = partial(places.covered, merged=_merge(extents))
    return _as(regions, _numpy(regions.lazy(), measure, schema))


def coverage(extents: Frame, size: int) -> Frame:
    """Say how much of [0, size) the extents cover.

    Returns
    -------
    frame of one row
        `size`; `covered` and `gaps`, bytes of the file somebody touched and nobody touched; `beyond`, bytes touched
        at or past `size`; `share`, `covered / size` (null for an empty file). Each byte counts once.
    """
    _check_range(0, size)
    merged = _merge(extents)
    clipped = pl.col("end").clip(0, size) - pl.col("start").clip(0, size)
    past = pl.col("end").clip(lower_bound=size) - pl.col("start").clip(lower_bound=size)
    sums = merged.select(size=pl.lit(size, pl.Int64), covered=clipped.sum(), beyond=past.sum())
    share = pl.when(pl.col("size") > 0).then(pl.col("covered") / pl.col("size"))
    gaps = pl.col("size") - pl.col("covered")
    return _as(extents, sums.select("size", "covered", gaps.alias("gaps"), "beyond", share.alias("share")))


def depth(extents: Frame) -> Frame:
    """Count how many extents cover each byte.

    Returns
    -------
    frame of `start`, `end`, `depth`
        Sorted ranges of equal depth, as long as possible; bytes that nobody covers are left out.
    """
    return _as(extents, _depth(_ranges(extents)))


def rereads(events: Frame) -> Frame:
    """Give the bytes that were read more than once, and how often.

    Returns
    -------
    frame of `start`, `end`, `reads`
        Sorted ranges that the same number of reads (two or more) cover, as long as possible.
    """
    reads = _ranges(_rows(events).filter(pl.col("op") == "read"))
    return _as(events, _depth(reads).filter(pl.col("depth") > 1).rename({"depth": "reads"}))


def first_touch(events: Frame) -> Frame:
    """Say which event touched each byte first.

    Returns
    -------
    frame of `start`, `end`, `seq`
        Sorted ranges whose bytes the event `seq` touched before any other, as long as possible. Join it with the
        events on `seq` for the time or the process.
    """
    from fmrw.analysis import places  # noqa: PLC0415 - numpy

    rows = _rows(events).select(pl.col("start", "end", "seq").cast(pl.Int64))
    first = partial(places.first_touch, schema=FIRST_TOUCH)
    return _as(events, _numpy(rows, first, FIRST_TOUCH))


def _as(given: Frame, answer: pl.LazyFrame) -> Frame:
    return answer if isinstance(given, pl.LazyFrame) else answer.collect()


def _numpy(
    frame: pl.LazyFrame, function: Callable[[pl.DataFrame], pl.DataFrame], schema: pl.Schema
) -> pl.LazyFrame:
    return frame.map_batches(
        function, schema=schema, predicate_pushdown=False, projection_pushdown=False, slice_pushdown=False
    )


def _rows(extents: AnyFrame) -> pl.LazyFrame:
    """Keep the rows that hold bytes, with all their columns."""
    columns = _check_columns(extents)
    rows = extents.lazy().filter(pl.col("end") > pl.col("start"))
    return rows.filter(pl.col("op").is_in(TRANSFERS)) if "op" in columns else rows


def _ranges(extents: AnyFrame) -> pl.LazyFrame:
    return _rows(extents).select(pl.col("start", "end").cast(pl.Int64))


def _whole(size: int) -> pl.LazyFrame:
    return pl.LazyFrame({"start": [0], "end": [size]}, schema=RANGE).filter(pl.col("end") > 0)


def _merge(extents: AnyFrame) -> pl.LazyFrame:
    return _ranges(extents).select(*_sorted()).select(*_merged())


def _sorted() -> tuple[pl.Expr, pl.Expr]:
    return pl.col("start").cast(pl.Int64).sort(), pl.col("end").cast(pl.Int64).sort()


def _merged() -> tuple[pl.Expr, pl.Expr]:
    """Pick the merged ranges' bounds out of sorted columns; sorting in the same step would sort once for each use."""
    starts, ends = pl.col("start"), pl.col("end")
    begins = (starts > ends.shift(1)).fill_null(value=True)
    return starts.filter(begins), ends.filter(begins.shift(-1).fill_null(value=True))


def _twice(a: pl.LazyFrame, b: pl.LazyFrame) -> pl.LazyFrame:
    """Give the bytes that two ranges hold, of two sets."""
    both = pl.concat([a, b]).select(*_sorted())
    return both.with_columns(pl.col("start").shift(-1)).filter(pl.col("end") > pl.col("start"))


def _subtract(a: pl.LazyFrame, b: pl.LazyFrame) -> pl.LazyFrame:
    """Intersect `a` with the outside of `b`, whose ranges begin where b's end.

    The outside begins at minus infinity and ends at plus infinity. These two would be first among the starts and last
    among the ends, which is what `_twice` shifts by, so they are left out and nothing is shifted.
    """
    outside = b.select(start=pl.col("end"), end=pl.col("start"))
    return pl.concat([a, outside]).select(*_sorted()).filter(pl.col("end") > pl.col("start"))


def _depth(ranges: pl.LazyFrame) -> pl.LazyFrame:
    step = pl.lit(1, pl.Int64)
    steps = pl.concat(
        [ranges.select(start=pl.col("start"), step=step), ranges.select(start=pl.col("end"), step=-step)]
    )
    counts = steps.sort("start").select("start", depth=pl.col("step").cum_sum())
    counts = counts.filter((pl.col("start") != pl.col("start").shift(-1)).fill_null(value=True))
    changes = counts.filter(pl.col("depth") != pl.col("depth").shift(1).fill_null(0))
    held = changes.select("start", pl.col("start").shift(-1).alias("end"), "depth")
    return held.filter(pl.col("depth") > 0)


def _check_columns(extents: AnyFrame) -> pl.Schema:
    schema = extents.lazy().collect_schema()
    for name in RANGE:
        if name not in schema or not schema[name].is_integer():
            raise BadInput(
                f"no integer column {name!r} in the frame; extents need `start` and `end`, in bytes"
            )
    return schema


def _check_range(start: int, end: int) -> None:
    if end < start:
        raise BadRange(f"[{start}, {end}) ends before it starts; give the smaller offset first")
