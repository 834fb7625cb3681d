"""Runs: ranges of many events merged by numpy, where neighbours in a frame mostly belong together.

Names are dear to compare and to look up, numbers are not. So names are compared from row to row, looked up once for each run of equal ones,
and stand for a number from there on. Events that go on where the one before ended are one range without being sorted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

_UNKNOWN = np.iinfo(np.int64).max
_BITS = 63


def begins(rows: pl.DataFrame, keys: Sequence[str]) -> Flags:
    """Say which rows are of another group than the one before, the first one too; `keys` names the columns of a group."""
    found = np.ones(rows.height, np.bool_)
    if rows.height > 1:
        first, *others = (_differs(rows[name]) for name in keys)
        for other in others:
            first |= other
        found[1:] = first.to_numpy()
    return found


def _differs(column: pl.Series) -> pl.Series:
    """Compare each value with the one before; slices share their memory, where a shifted column would be a copy."""
    after, before = column.slice(1), column.head(len(column) - 1)
    return after.ne_missing(before) if column.has_nulls() else after != before


def summed(
    events: pl.DataFrame, keys: Sequence[str], begun: Flags, transfers: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sum up events, in order of `seq`, of which many of a group follow each other.

    Parameters
    ----------
    events : DataFrame
        Events, as `fmrw.trace.merged` takes them.
    keys : sequence of str
        Columns of a group, `op` among them.
    begun : array of bool
        What `begins` says of them.
    transfers : sequence of str
        The values of `op` that can move bytes.

    Returns
    -------
    groups, ranges : DataFrame
        A row for each group, with its numbers; the merged ranges of each.
    """
    heads = np.flatnonzero(begun)
    named = _gathered(events, keys, heads)
    groups = _Groups.of(named, keys)
    moving = named["op"].is_in(transfers).fill_null(value=False).to_numpy()
    starts, ends, held = _bounds(events)
    lengths = np.diff(heads, append=events.height)
    counts = lengths if held.all() else np.add.reduceat(held, heads, dtype=np.int64)
    smallest = np.where(moving, _smallest(events, held, heads), _UNKNOWN)
    last = groups.last(heads + lengths - 1)
    answers = groups.names.with_columns(
        events=pl.Series(groups.reduced(np.add, lengths)),
        transfers=pl.Series(groups.reduced(np.add, counts * moving)),
        seq=pl.Series(_numbers(events["seq"])[last]),
        size=pl.Series(_numbers(events["size"])[last]),
        fidelity=_fidelity(events, heads, groups),
        smallest=pl.Series(groups.reduced(np.minimum, smallest)).replace(_UNKNOWN, 0),
    )
    numbers, starts, ends = _connected(begun, moving, starts, ends)
    return answers, _named(groups.names, *_merge(groups.number[numbers], starts, ends))


class _Groups(NamedTuple):
    """Which runs are of the same group.

    `names` has a row for each group, `number` says which one each run is of, `order` has the runs group by group, and `first` where in
    `order` each group's begin.
    """

    names: pl.DataFrame
    number: Numbers
    order: Numbers
    first: Numbers

    @classmethod
    def of(cls, named: pl.DataFrame, keys: Sequence[str]) -> _Groups:
        found = named.with_row_index("run").group_by(keys, maintain_order=True).agg("run")
        counts = found["run"].list.len().to_numpy()
        order = found["run"].explode().cast(pl.Int64).to_numpy()
        number = np.empty(named.height, np.int64)
        number[order] = np.repeat(np.arange(found.height), counts)
        return cls(found.select(keys), number, order, np.cumsum(counts, dtype=np.int64) - counts)

    def reduced(self, by: np.ufunc, values: Numbers) -> Numbers:
        """Reduce the values of each group's runs to one."""
        answer: Numbers = by.reduceat(values[self.order], self.first)
        return answer

    def last(self, values: Numbers) -> Numbers:
        """Give the value of each group's last run."""
        answer: Numbers = values[self.order[np.append(self.first[1:], len(self.order)) - 1]]
        return answer


def _gathered(rows: pl.DataFrame, keys: Sequence[str], places: Numbers) -> pl.DataFrame:
    return rows[list(keys)][pl.Series(places)]


def _bounds(events: pl.DataFrame) -> tuple[Numbers, Numbers, Flags]:
    """Give starts, ends, and which events hold bytes; those that hold none end where they start."""
    starts, ends = events["start"], events["end"]
    if starts.has_nulls() or ends.has_nulls():
        known = starts.is_not_null() & ends.is_not_null()
        starts, ends = (column.zip_with(known, pl.Series([0])) for column in (starts, ends))
    one, two = _numbers(starts), _numbers(ends)
    held = two > one
    return one, two if held.all() else np.where(held, two, one), held


def _smallest(events: pl.DataFrame, held: Flags, heads: Numbers) -> Numbers:
    """Give the smallest request of each run, of those that moved bytes."""
    asked = _numbers(events["requested"])
    counts = held & (asked > 0)
    if not counts.all():
        asked = np.where(counts, asked, _UNKNOWN)
    smallest: Numbers = np.minimum.reduceat(asked, heads)
    return smallest


def _fidelity(events: pl.DataFrame, heads: Numbers, groups: _Groups) -> pl.Expr:
    paged = (events["fidelity"] == "page").fill_null(value=False)
    if not paged.any():
        return pl.lit("byte")
    each = groups.reduced(np.logical_or, np.logical_or.reduceat(paged.to_numpy(), heads))
    return pl.when(pl.Series(each)).then(pl.lit("page")).otherwise(pl.lit("byte"))


def _connected(
    begun: Flags, moving: Flags, starts: Numbers, ends: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Join what goes on where the event before it in its run ended; give the numbers of the runs, starts and ends."""
    apart = begun.copy()
    apart[1:] |= starts[1:] != ends[:-1]
    first = np.flatnonzero(apart)
    numbers = np.cumsum(begun[first]) - 1
    starts, ends = starts[first], ends[np.append(first[1:], len(ends)) - 1]
    kept = (ends > starts) & moving[numbers]
    return (numbers, starts, ends) if kept.all() else (numbers[kept], starts[kept], ends[kept])


def _numbers(column: pl.Series) -> Numbers:
    return column.cast(pl.Int64).fill_null(0).to_numpy()


def joined(ranges: pl.DataFrame, whose: Sequence[str]) -> pl.DataFrame:
    """Merge ranges within their groups, in any order; `whose` names the columns of a group."""
    heads = np.flatnonzero(begins(ranges, whose))
    groups = _Groups.of(_gathered(ranges, whose, heads), whose)
    numbers = np.repeat(groups.number, np.diff(heads, append=ranges.height))
    starts, ends = (ranges[name].cast(pl.Int64).to_numpy() for name in ("start", "end"))
    return _named(groups.names, *_merge(numbers, starts, ends))


def _named(names: pl.DataFrame, numbers: Numbers, starts: Numbers, ends: Numbers) -> pl.DataFrame:
    return names[numbers].with_columns(start=pl.Series(starts), end=pl.Series(ends))


def _merge(numbers: Numbers, starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Merge ranges within their groups: neighbours first, then all of them, by starts and ends sorted apart from each other.

    `numbers` are those of the groups, in any order; the answers are in order.
    """
    if not len(numbers):
        return numbers, starts, ends
    apart = (numbers[1:] != numbers[:-1]) | (starts[1:] > ends[:-1]) | (ends[1:] < starts[:-1])
    first = np.flatnonzero(np.append(True, apart))
    numbers = numbers[first]
    starts, ends = np.minimum.reduceat(starts, first), np.maximum.reduceat(ends, first)
    starts, ends = _sorted(numbers, starts), _sorted(numbers, ends)
    numbers = np.sort(numbers)
    begun = np.append(True, (numbers[1:] != numbers[:-1]) | (starts[1:] > ends[:-1]))
    return numbers[begun], starts[begun], ends[np.append(begun[1:], True)]


def _sorted(numbers: Numbers, values: Numbers) -> Numbers:
    """Sort values, none of them negative, within their groups, these in order.

    Where the number of the group and the value fit into one integer, that is sorted: in a tenth of the time that two keys take, and by
    polars, which takes half as long as numpy where that sorts by AVX-512 and the processor is slow at it.
    """
    bits = int(values.max()).bit_length()
    if bits + int(numbers.max()).bit_length() > _BITS or values.min() < 0:
        return values[np.lexsort((values, numbers))]
    both = pl.Series(numbers << bits | values).sort(in_place=True)
    return both.to_numpy() & ((1 << bits) - 1)
