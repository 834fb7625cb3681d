"""Cover: a set of bytes as sorted ranges, and searches in sorted offsets for many places at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike

Offsets = NDArray[np.int64]

STRIDE = 256
_STEPS = (*(1 << k for k in reversed(range(STRIDE.bit_length() - 1))), 1)


class Sorted:
    """Sorted offsets, searched for many places at once.

    A plain binary search waits for memory some 20 times per place, one after the other. Here a sample that fits into
    the cache gives the neighbourhood, and then all places take each step together, so that their waits overlap.
    """

    def __init__(self, values: Offsets) -> None:
        self.values = values
        self._sample = values[::STRIDE].copy()

    def below(self, places: Offsets) -> Offsets:
        """Count the values smaller than each place."""
        return self._search(places, "left", np.less)

    def until(self, places: Offsets) -> Offsets:
        """Count the values at or below each place."""
        return self._search(places, "right", np.less_equal)

    def _search(self, places: Offsets, side: Literal["left", "right"], counts: np.ufunc) -> Offsets:
        last = len(self.values) - 1
        if last < 0:
            return np.zeros(len(places), np.int64)
        found = np.maximum(np.searchsorted(self._sample, places, side) - 1, 0) * STRIDE
        for step in _STEPS:
            found += step * counts(self.values[np.minimum(found + (step - 1), last)], places)
        capped: Offsets = np.minimum(found, last + 1)
        return capped


class Extents(NamedTuple):
    """Extents as two arrays of offsets, each sorted by itself; which start belongs to which end does not matter here."""

    starts: Offsets
    ends: Offsets

    @classmethod
    def joined(cls, parts: Sequence[Extents]) -> Extents:
        """Put several together."""
        if len(parts) == 1:
            return parts[0]
        empty = np.zeros(0, np.int64)  # a stable sort finds the sorted pieces and merges them
        starts, ends = (np.concatenate([empty, *(part[k] for part in parts)]) for k in (0, 1))
        return cls(np.sort(starts, kind="stable"), np.sort(ends, kind="stable"))


@dataclass(frozen=True, eq=False)
class Cover:
    """A set of bytes: sorted ranges that do not overlap, and how many bytes lie before each."""

    starts: Offsets
    ends: Offsets
    _lengths: BlockSums = field(init=False)
    _index: Sorted = field(init=False)

    def __post_init__(self) -> None:
        """Sum up the lengths."""
        starts, ends = self.starts, self.ends
        object.__setattr__(self, "_lengths", BlockSums(lambda at: ends[at] - starts[at], len(starts)))
        object.__setattr__(self, "_index", Sorted(self.starts))

    @classmethod
    def of(cls, starts: Offsets, ends: Offsets) -> Cover:
        """Merge extents, given as sorted starts and sorted ends (`ranges` says why this is enough)."""
        return cls(*merged(starts, ends))

    def minus(self, other: Cover) -> Cover:
        """Give the bytes that `other` does not hold, looking only at the part of it that lies in the way."""
        first = np.searchsorted(other.ends, self.starts, "right")
        stop = np.searchsorted(other.starts, self.ends, "left")
        first[1:] = np.maximum(first[1:], stop[:-1])
        count = np.maximum(stop - first, 0)
        if not count.any():
            return self
        touched = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(count.sum())
        starts = np.sort(np.concatenate([self.starts, other.ends[touched]]))
        ends = np.sort(np.concatenate([self.ends, other.starts[touched]]))
        kept = ends > starts
        return Cover(starts[kept], ends[kept])

    def below(self, edges: Offsets) -> Offsets:
        """Count the bytes of the set that lie before each edge."""
        if not len(self.ends):
            return np.zeros(len(edges), np.int64)
        begun = self._index.below(edges)
        rest = np.maximum(self.ends[np.maximum(begun, 1) - 1] - edges, 0)
        bytes_below: Offsets = self._lengths.first(begun) - np.where(begun > 0, rest, 0)
        return bytes_below


def merged(starts: Offsets, ends: Offsets) -> tuple[Offsets, Offsets]:
    """Merge extents, given as sorted starts and sorted ends, to ranges that neither overlap nor touch."""
    begins = np.ones(len(starts) + 1, np.bool_)
    np.greater(starts[1:], ends[:-1], out=begins[1:-1])
    return starts[begins[:-1]], ends[begins[1:]]


def running_sum(values: Offsets) -> Offsets:
    """Give the sums of all beginnings of an array, one more than it has values."""
    sums = np.zeros(len(values) + 1, values.dtype)
    np.cumsum(values, out=sums[1:])
    return sums


class BlockSums:
    """Sums of all beginnings of an array, of which one in `BLOCK` is kept; the rest is added up when it is asked for.

    All sums would take as much memory as the array, and first use of so much memory takes longer than adding up.

    Parameters
    ----------
    values
        Gives the values at some places of an array that need not be in memory; sums may wrap.
    count
        How many values there are.
    """

    BLOCK = 16
    _PIECE = 1 << 16  # stays in the cache; a multiple of a block

    def __init__(self, values: Callable[[slice | Offsets], Offsets], count: int) -> None:
        self._values, self._last = values, count - 1
        pieces = [slice(at, min(at + self._PIECE, count)) for at in range(0, count, self._PIECE)]
        blocks = [
            np.add.reduceat(values(each), np.arange(0, each.stop - each.start, self.BLOCK)) for each in pieces
        ]
        self._before = running_sum(np.concatenate([np.zeros(0, np.int64), *blocks]))

    @classmethod
    def of(cls, values: Offsets, number: DTypeLike = np.int64) -> Self:
        """Sum up an array that is in memory, in int64 or in Python's integers."""
        return cls(lambda at: values[at].astype(number, copy=False), len(values))

    def first(self, counts: Offsets) -> Offsets:
        """Give the sum of the first so many values, for each of some counts."""
        if self._last < 0:
            return np.zeros(len(counts), np.int64)
        blocks, rest = np.divmod(counts, self.BLOCK)
        steps = np.arange(self.BLOCK)[:, None]  # along the first axis numpy adds up whole rows at once
        places = blocks * self.BLOCK + steps
        values = self._values(np.minimum(places, self._last, out=places))
        sums: Offsets = self._before[blocks] + (values * (steps < rest)).sum(axis=0)
        return sums
