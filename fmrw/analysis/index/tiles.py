"""Index: how much of each bin of a file was touched, exactly, for any window, any number of bins, any filter.

    index = Index.build(events_of_one_file)
    index.bins((0, size, 4096), op="read", processes=[(1234, "unzip")])

Three parts: *edges* cut bytes into bins (`window_edges`, `square_edges`), the `Index` answers for bins, and *curves*
lay them out (`row_major`, `hilbert`). A linear strip is a window of one row.

Costs. Sorting happens once; a question then costs bins · log(extents), so zooming does not depend on how many
extents there are. A filter that was not asked before costs one pass over the sorted extents and is remembered. While
a mount is live, `extend` adds sorted runs and merges runs of similar size (as a log-structured merge tree does), so
that each extent is moved O(log n) times however often the index grows.

Limits. One file per index, up to 2³¹ - 1 extents in all, offsets of signed 64 bits. A bin's `bytes` above 2⁶³ - 1 is
given as that number. The answers are for the extents as they were: an extent past the end of the file counts in the
bins that lie there.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis.index.cover import Extents, Offsets
from fmrw.analysis.index.depth import Depth, Depths
from fmrw.analysis.index.filter import Filter
from fmrw.analysis.index.layers import LARGEST, Figures, Layer, Run
from fmrw.analysis.index.remainder import Remainder
from fmrw.analysis.index.selection import Chosen
from fmrw.errors import BadRange
from fmrw.trace.schema import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Unpack

    from numpy.typing import NDArray

    from fmrw.analysis.index.filter import Who
    from fmrw.analysis.index.layers import Answering

BINS = pl.Schema(
    {
        "bin": pl.Int64(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "bytes": pl.Int64(),
        "accesses": pl.Int64(),
        "distinct": pl.Int64(),
        "first_touch": pl.Int64(),
        "first_time": EVENTS["time"],
    }
)
"""Columns of `Index.bins`, in order."""

_GROWTH = 4  # a run is merged into the one before unless that is this many times as large


def window_edges(start: int, end: int, count: int) -> Offsets:
    """Cut [start, end) into `count` bins whose sizes differ by at most one byte.

    Returns
    -------
    array of `count + 1` offsets
        Edge i is `start + i * (end - start) // count`, exactly, up to 2⁶³ - 1. With more bins than bytes, some bins
        are empty.
    """
    if end < start or count < 1:
        raise BadRange(
            f"[{start}, {end}) in {count} bins: give the smaller offset first, and at least one bin"
        )
    width, rest = divmod(end - start, count)
    i = np.arange(count + 1, dtype=np.int64)
    return start + i * width + i * rest // count


def square_edges(size: int, side: int) -> Offsets:
    """Cut a file of `size` bytes into the `side * side` cells of a square.

    Returns
    -------
    array of `side * side + 1` offsets
        With n = side², cell k holds [k * size // n, (k + 1) * size // n). A file with fewer bytes than cells gets one
        byte per cell; the cells from k = size on are empty, at [size, size).
    """
    if size < 0 or side < 1:
        raise BadRange(f"{size} bytes in a square of side {side}: both must be positive")
    cells = side * side
    if size < cells:
        return np.minimum(np.arange(cells + 1, dtype=np.int64), size)
    return window_edges(0, size, cells)


def accesses(extents: pl.DataFrame, edges: Offsets) -> Offsets:
    """Count the extents that share a byte with each bin, once and without an index.

    Two sorts, where an index needs four and more: an extent that began before a bin's end and has not ended by its start lies in it.

    Parameters
    ----------
    extents
        Columns `start` and `end`; every extent has bytes.
    edges
        Offsets that do not decrease, one more than there are bins.
    """
    starts, ends = (extents[name].cast(pl.Int64).sort().to_numpy() for name in ("start", "end"))
    begun, over = np.searchsorted(starts, edges[1:], "left"), np.searchsorted(ends, edges[:-1], "right")
    return np.where(edges[1:] > edges[:-1], begun - over, 0)


def repeats(extents: pl.DataFrame, edges: Offsets) -> Offsets:
    """Say how often the byte of each bin that was touched most often was touched, once and without an index.

    Parameters
    ----------
    extents, edges
        As for `accesses`.
    """
    starts, ends = (extents[name].cast(pl.Int64).sort().to_numpy() for name in ("start", "end"))
    return Depth(Extents(starts, ends)).peaks(edges)


def row_major(cell: NDArray[np.integer], side: int) -> tuple[Offsets, Offsets]:
    """Give column x and row y of each cell, line by line from the top left."""
    y, x = np.divmod(np.asarray(cell, np.int64), side)
    return x, y


def hilbert(cell: NDArray[np.integer], side: int) -> tuple[Offsets, Offsets]:
    """Give column x and row y of each cell along Hilbert's curve, from the top left to the top right.

    Neighbours in the file are neighbours in the square, so a range is a blot and not a stripe. `side` is a power of
    two. After H. S. Warren, Hacker's Delight, 2nd ed., ch. 16: two bits of the cell's number for each level, the square
    so far mirrored and turned.
    """
    if side < 1 or side & (side - 1):
        raise BadRange(f"Hilbert's curve needs a side that is a power of two, not {side}; take 64 or 128")
    rest = np.asarray(cell, np.int64)
    x, y = np.zeros_like(rest), np.zeros_like(rest)
    for level in range(side.bit_length() - 1):
        step = 1 << level
        right = rest >> 1 & 1
        down = (rest ^ right) & 1
        mirrored = (down == 0) & (right == 1)
        x, y = np.where(mirrored, step - 1 - x, x), np.where(mirrored, step - 1 - y, y)
        x, y = np.where(down == 0, y, x) + step * right, np.where(down == 0, x, y) + step * down
        rest = rest >> 2
    return x, y


class Index:
    """The reads and writes of one file, sorted for questions about bins. Safe to extend and ask from two threads."""

    def __init__(self) -> None:
        self._runs: list[Run] = []
        self._layers: OrderedDict[Filter, list[Answering]] = OrderedDict()
        self._depths: dict[Filter, Depths] = {}
        self._lock = Lock()

    @classmethod
    def build(cls, events: pl.DataFrame) -> Index:
        """Index the events of ONE file; only reads and writes that moved bytes count.

        Parameters
        ----------
        events
            Columns `seq, time, op, start, end, pid, process, tid, handle` of `trace.schema.EVENTS`, and `site` where call sites are asked for;
            more do no harm. A growing index gets the same ones every time.
        """
        index = cls()
        index.extend(events)
        index._layers_of(Filter())
        return index

    def extend(self, events: pl.DataFrame) -> None:
        """Add later events of the same file. Events older than known ones are welcome too."""
        run = Run.build(events)
        if not len(run):
            return
        with self._lock:
            while self._runs and len(self._runs[-1]) < _GROWTH * len(run):
                run = self._runs.pop().merge(run)
            self._runs.append(run)

    def __len__(self) -> int:
        """Count the extents."""
        return sum(len(run) for run in self._runs)

    def bins(
        self,
        edges: NDArray[np.integer] | tuple[int, int, int],
        *,
        op: str | None = None,
        processes: Sequence[tuple[int, str]] | None = None,
        tids: Sequence[int] | None = None,
        handles: Sequence[int] | None = None,
        sites: Sequence[int] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pl.DataFrame:
        """Say what happened in each bin.

        Parameters
        ----------
        edges
            Offsets that do not decrease, one more than there are bins; or `(start, end, count)` for `window_edges`.
        op
            "read" or "write"; None for both.
        processes, tids, handles, sites
            Who counts: pairs of pid and name, thread ids, handles, numbers of call sites. None for all, empty for nobody.
        since, until
            When, half-open; a time without a zone is UTC.

        Returns
        -------
        frame of one row per bin
            `bin`, its number; `start`, `end`; `bytes` touched, repeats counted; `accesses`, extents that share a
            byte with the bin; `distinct` bytes touched; `first_touch`, `seq` of the first event, and `first_time`, null
            if there is none. A bin without bytes has zeros and nulls.
        """
        cuts = window_edges(*edges) if isinstance(edges, tuple) else _checked(edges)
        who = Filter.of(
            op=op, processes=processes, tids=tids, handles=handles, sites=sites, since=since, until=until
        )
        with self._lock:
            layers = self._layers_of(who)
        return _table(cuts, [layer.figures(cuts) for layer in layers], sum(layer.total for layer in layers))

    def repeats(self, edges: NDArray[np.integer] | tuple[int, int, int], **who: Unpack[Who]) -> Offsets:
        """Say how often the byte of each bin that was touched most often was touched.

        Parameters
        ----------
        edges, **who
            As for `bins`.

        Returns
        -------
        array of one number per bin
            2 means that some byte of the bin was touched twice; reads that only meet in a bin make it 1. A bin without
            bytes has 0. The first question of each filter costs one more pass over its extents.
        """
        cuts = window_edges(*edges) if isinstance(edges, tuple) else _checked(edges)
        asked = Filter.of(**who)
        with self._lock:
            parts = [(layer.run, layer.extents) for layer in self._layers_of(asked)]
            depths = self._depths.setdefault(asked, Depths())
            return depths.peaks(cuts, parts)

    def _layers_of(self, who: Filter) -> list[Answering]:
        """Give one layer per run, keeping those that were made for the same run before."""
        known = self._layers.setdefault(who, [])
        self._layers.move_to_end(who)
        same = [layer for layer, run in zip(known, self._runs, strict=False) if layer.run is run]
        for run in self._runs[len(same) :]:
            same.append(self._layer(run, who.mask(run.events), same))
        self._layers[who] = same
        self._forget()
        return same

    def _layer(self, run: Run, mask: NDArray[np.bool_] | None, older: Sequence[Answering]) -> Answering:
        """Make the layer of a filter; of one that leaves out few from the layer of all, where that is at hand."""
        if mask is None:
            return Layer(run, None, older)
        for everybody in self._layers.get(Filter(), []):
            if everybody.run is run and isinstance(everybody, Layer) and 2 * mask.sum() > len(run):
                return Remainder(everybody, mask, older)
        return Layer(run, Chosen.of(run, mask), older)

    def _forget(self) -> None:
        """Drop the filters longest unasked, so that together they hold half as many extents as the index."""
        held = {who: sum(map(len, layers)) for who, layers in self._layers.items() if who != Filter()}
        latest = next(reversed(self._layers))
        for who in list(held):
            if 2 * sum(held.values()) > len(self) and who != latest:
                del self._layers[who], held[who]
                self._depths.pop(who, None)


def _checked(edges: NDArray[np.integer]) -> Offsets:
    cuts = np.asarray(edges)
    if cuts.ndim != 1 or not len(cuts) or cuts.dtype.kind not in "iu" or (cuts[1:] < cuts[:-1]).any():
        raise BadRange("edges of bins must be whole numbers that do not decrease; `window_edges` makes some")
    return cuts.astype(np.int64)


def _table(cuts: Offsets, figures: list[Figures], total: int) -> pl.DataFrame:
    none = np.zeros(len(cuts) - 1, np.int64)
    number = np.int64 if total <= LARGEST else object
    touched = sum((each.bytes.astype(number) for each in figures), none.astype(number))
    seq, time = np.full(len(none), LARGEST), np.full(len(none), LARGEST)
    for each in figures:
        time = np.where(each.seq < seq, each.time, time)
        seq = np.minimum(seq, each.seq)
    columns = {
        "bin": np.arange(len(none)),
        "start": cuts[:-1],
        "end": cuts[1:],
        "bytes": np.minimum(touched, LARGEST).astype(np.int64),
        "accesses": sum((each.accesses for each in figures), none),
        "distinct": sum((each.distinct for each in figures), none),
        "first_touch": seq,
        "first_time": time,
    }
    known = [pl.when(pl.col(name) < LARGEST).then(name) for name in ("first_touch", "first_time")]
    return pl.DataFrame(columns).with_columns(known).cast(BINS)
