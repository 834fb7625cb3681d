"""Counts: how often the bytes of one file were read, or written; at once for all, a little later with filters.

A bin's `accesses` are calls that share a byte with it; its `repeats` say how often its most-touched byte was touched. Reads that
only meet in a bin make it two accesses and one repeat.

Three quarters of the time an index takes go into the order of the events, which only filters need. So a large recording is first
counted without it (`Tally`: starts and ends sorted each for itself, which `layers` and `ranges` show to be enough), and its index is
built when somebody has time (`prepare`) or asks for it. Both are exact; what grows afterwards is counted by the index.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from fmrw.analysis.index.cover import BlockSums, Extents, Sorted, merged
from fmrw.analysis.index.depth import Depth
from fmrw.analysis.index.layers import LARGEST
from fmrw.analysis.index.tiles import Index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fmrw.analysis.index.cover import Offsets

LARGE = 100_000
"""Accesses of an operation from which on they are counted first and indexed later."""


class Counts:
    """The counts of one operation; may be extended and asked by several threads.

    Attributes
    ----------
    op : str
        "read" or "write".
    total : int
        Accesses.
    """

    def __init__(self, op: str) -> None:
        self.op = op
        self.total = 0
        self._index = Index()
        self._tally: Tally | None = None
        self._waiting: list[pl.DataFrame] = []
        self._lock = threading.Lock()

    def extend(self, moved: pl.DataFrame) -> None:
        """Add later reads and writes that moved bytes."""
        own = pl.col("op") == self.op
        ranges = moved.lazy().filter(own).select("start", "end").collect()
        first, self.total = not self.total, self.total + ranges.height
        if first and ranges.height >= LARGE:
            self._tally = Tally.of(ranges)
            self._waiting.append(moved)
        elif ranges.height:
            self.prepare()
            self._index.extend(moved.filter(own))
            self._tally = None

    def prepare(self) -> None:
        """Build the index, unless it is there."""
        with self._lock:
            while self._waiting:
                self._index.extend(self._waiting[0].filter(pl.col("op") == self.op))
                del self._waiting[0]

    def bins(self, edges: NDArray[np.int64], who: dict[str, Any]) -> pl.DataFrame:
        """Give `start`, `end`, `accesses`, `bytes`, `distinct` of each bin, as `Index.bins` does, and `repeats`."""
        tally = self._tally
        if tally is not None and all(each is None for each in who.values()):
            return tally.bins(edges)
        repeats = pl.Series("repeats", self.repeats(edges, who), pl.Int64)
        return self._index.bins(edges, op=None, **who).with_columns(repeats)

    def repeats(self, edges: NDArray[np.int64], who: dict[str, Any]) -> Offsets:
        """Give `repeats` of each bin alone, which is all that a colour needs."""
        tally = self._tally
        if tally is not None and all(each is None for each in who.values()):
            return tally.repeats(edges)
        self.prepare()
        return self._index.repeats(edges, op=None, **who)

    @property
    def touched(self) -> pl.DataFrame | None:
        """The bytes that were touched at all, as `start`, `end`, where they are known already."""
        return None if self._tally is None else self._tally.touched


class Tally:
    """Counts per bin of a batch of ranges; nobody knows any more which start belongs to which end.

    Sums are kept for blocks (`BlockSums`): each array as long as the batch costs as much as a tenth of sorting it, in fresh memory.

    Parameters
    ----------
    starts, ends
        Each sorted for itself.
    """

    def __init__(self, starts: Offsets, ends: Offsets) -> None:
        self._starts, self._ends = Sorted(starts), Sorted(ends)
        with ThreadPoolExecutor(1) as other:  # numpy lets go of the interpreter
            depth = other.submit(Depth, Extents(starts, ends))
            self._starts_sums, self._ends_sums = BlockSums.of(starts), BlockSums.of(ends)
            self._gaps_sums = BlockSums(
                lambda at: np.maximum(starts[1:][at] - ends[:-1][at], 0), len(starts) - 1
            )
            self._depth = depth.result()

    @classmethod
    def of(cls, ranges: pl.DataFrame) -> Self | None:
        """Count ranges; None where their bytes do not fit into 63 bits."""

        def ordered(name: str) -> Offsets:
            return ranges[name].sort(multithreaded=False).to_numpy()

        with ThreadPoolExecutor(2) as each:  # polars' own threads would take twice the processor time
            starts, ends = each.map(ordered, ("start", "end"))
        most = len(starts) * (int(ends[-1]) - int(starts[0]))
        return cls(starts, ends) if most <= LARGEST else None

    def bins(self, edges: NDArray[np.int64]) -> pl.DataFrame:
        """Answer for the bins between consecutive edges; sums may wrap, their differences are right (`layers`)."""
        begun, over = self._starts.below(edges), self._ends.until(edges)
        below = begun * edges - self._starts_sums.first(begun) - (over * edges - self._ends_sums.first(over))
        figures = {
            "accesses": np.where(edges[1:] > edges[:-1], begun[1:] - over[:-1], 0),
            "bytes": np.diff(below),
            "distinct": np.diff(self._distinct_below(edges, begun)),
            "repeats": self.repeats(edges),
        }
        return pl.DataFrame({"start": edges[:-1], "end": edges[1:], **figures})

    def repeats(self, edges: Offsets) -> Offsets:
        """Say how often the byte of each bin that was touched most often was touched."""
        return self._depth.peaks(edges)

    def _distinct_below(self, edges: Offsets, begun: Offsets) -> Offsets:
        """Count the different bytes below each edge: all since the first start, less the gaps before it."""
        last = np.maximum(begun - 1, 0)
        since_last_end = np.maximum(edges - self._ends.values[last], 0)
        found = edges - self._starts.values[0] - self._gaps_sums.first(last) - since_last_end
        return np.where(begun > 0, found, 0)

    @property
    def touched(self) -> pl.DataFrame:
        """The bytes that were touched at all, as `start`, `end`."""
        starts, ends = merged(self._starts.values, self._ends.values)
        return pl.DataFrame({"start": starts, "end": ends})
