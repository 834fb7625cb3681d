"""Runs: ranges of many events merged by numpy, where neighbours in a frame mostly belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

_UNKNOWN = np.iinfo(np.int64).max


def summed(
    events: pl.DataFrame, keys: Sequence[str], begins: pl.Series, moves: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sum up events, in order of `seq`, of which many of a group follow each other.

    Parameters
    ----------
    events : DataFrame
        Events, as `fmrw.trace.merged` takes them.
    keys : sequence of str
        Columns of a group.
    begins, moves : Series of bool
        Whether an event is of another group than the one before; whether it moved bytes.

    Returns
    -------
    groups, ranges : DataFrame
        A row for each run of a group, with its numbers; the merged ranges of each.
    """
    heads = np.flatnonzero(begins.to_numpy())
    lengths = np.diff(heads, append=events.height)
    moved = moves.to_numpy()
    numbers = np.repeat(np.arange(len(heads)), lengths)[moved]
    starts, ends = (events[name].cast(pl.Int64).fill_null(0).to_numpy()[moved] for name in ("start", "end"))
    paged = (events["fidelity"] == "page").fill_null(value=False).to_numpy()
    asked = events["requested"].cast(pl.Int64).fill_null(0).to_numpy()
    smallest = np.minimum.reduceat(np.where(moved & (asked > 0), asked, _UNKNOWN), heads)
    last = heads + lengths - 1
    groups = events.select(list(keys))[heads].with_columns(
        events=pl.Series(lengths),
        transfers=pl.Series(np.bincount(numbers, minlength=len(heads))),
        seq=events["seq"][last],
        size=events["size"][last].fill_null(0),
        fidelity=pl.when(pl.Series(np.logical_or.reduceat(paged, heads)))
        .then(pl.lit("page"))
        .otherwise(pl.lit("byte")),
        smallest=pl.Series(np.where(smallest < _UNKNOWN, smallest, 0)),
    )
    numbers, starts, ends = _merge(numbers, starts, ends)
    ranges = events.select(list(keys))[heads][numbers].with_columns(
        start=pl.Series(starts), end=pl.Series(ends)
    )
    return groups, ranges


def joined(ranges: pl.DataFrame, whose: Sequence[str]) -> pl.DataFrame:
    """Merge ranges within their groups, in any order; `whose` names the columns of a group."""
    grouped = ranges.lazy().group_by(whose).agg("start", "end").collect()
    lengths = grouped["start"].list.len().to_numpy()
    starts, ends = (
        grouped[name].explode().drop_nulls().cast(pl.Int64).to_numpy() for name in ("start", "end")
    )
    numbers, starts, ends = _merge(np.repeat(np.arange(grouped.height), lengths), starts, ends)
    return grouped.select(whose)[numbers].with_columns(start=pl.Series(starts), end=pl.Series(ends))


def _merge(numbers: Numbers, starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Merge ranges within their groups: neighbours first, then all of them, by starts and ends sorted apart from each other."""
    if not len(numbers):
        return numbers, starts, ends
    apart = (numbers[1:] != numbers[:-1]) | (starts[1:] > ends[:-1]) | (ends[1:] < starts[:-1])
    first = np.flatnonzero(np.append(True, apart))
    numbers = numbers[first]
    starts, ends = np.minimum.reduceat(starts, first), np.maximum.reduceat(ends, first)
    starts, ends = starts[np.lexsort((starts, numbers))], ends[np.lexsort((ends, numbers))]
    begins = np.append(True, (numbers[1:] != numbers[:-1]) | (starts[1:] > ends[:-1]))
    return numbers[begins], starts[begins], ends[np.append(begins[1:], True)]
