"""Sorted extents of one file, and the figures of any window from them. `tiles.Index` uses this; nobody else does.

A `Run` holds a batch of events once, sorted by start and by end. A `Layer` is what questions are put to: the
extents of a run that pass a filter, with running sums of blocks. Both are immutable; a growing file is a list of runs, and
layers of the same filter answer together. *Rank* is a row of `Run.events`, in order of `seq`.

Sums. F(x) = Σ max(0, x - start) - Σ max(0, x - end) is the number of bytes touched below x, so a bin holds
F(end) - F(start). With c starts below x the first sum is c·x minus the sum of these starts. Ten million times 2⁶²
overflows 64 bits, harmlessly: two's complement is exact modulo 2⁶⁴, and no bin holds more than all extents together.
Only if these reach 2⁶³ bytes are the same formulas evaluated in Python's integers.

First touch. An extent that overlaps [x, y) starts in it (a slice of the order by start), or covers x. Let s be the
first start after x. Whoever covers x and ends at or before s is found in the slice (x, s] of the order by end, where
nobody else is; whoever ends after s covers the whole *slot* from the last start at or before x to s, and `paint`
has noted the smallest rank for every slot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import polars as pl

from fmrw.analysis.index.cover import BlockSums, Cover, Extents, Offsets, Sorted
from fmrw.analysis.minima import NOBODY, Labels, RangeMinimum, paint
from fmrw.trace.schema import EVENTS, transfers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COLUMNS = ("seq", "time", "op", "start", "end", "pid", "process", "tid", "handle")
_SITE = "site"  # where call sites were recorded

LARGEST = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, eq=False)
class Run:
    """A batch of extents, sorted both ways; `reach` counts the starts at or before the end of each, by start."""

    events: pl.DataFrame
    starts: Offsets
    by_start: Labels
    reach: Labels
    ends: Offsets
    by_end: Labels
    seq: Offsets = field(init=False)
    time: Offsets = field(init=False)

    def __post_init__(self) -> None:
        """Keep what is looked up by rank at hand."""
        moments = self.events["time"].to_physical().fill_null(LARGEST)
        object.__setattr__(self, "seq", self.events["seq"].to_numpy())
        object.__setattr__(self, "time", moments.to_numpy())

    def __len__(self) -> int:
        """Count the extents."""
        return len(self.starts)

    @classmethod
    def build(cls, events: pl.DataFrame) -> Run:
        """Sort the reads and writes among `events` that moved bytes."""
        columns = (*COLUMNS, _SITE) if _SITE in events.columns else COLUMNS
        rows = transfers(events.select(columns)).cast(
            {name: EVENTS[name] for name in ("start", "end", "seq")}
        )
        rows = rows if rows["seq"].is_sorted() else rows.sort("seq", maintain_order=True)
        ranked = rows.select("start", "end", rank=pl.int_range(pl.len(), dtype=pl.Int32))
        return cls._of(rows.drop("start", "end"), ranked.sort("start"), ranked.drop("start").sort("end"))

    @classmethod
    def _of(cls, events: pl.DataFrame, by_start: pl.DataFrame, by_end: pl.DataFrame) -> Run:
        starts = by_start["start"].to_numpy()
        reach = np.searchsorted(starts, by_start["end"].to_numpy(), "right").astype(np.int32)
        ranks = by_start["rank"].to_numpy()
        return cls(events, starts, ranks, reach, by_end["end"].to_numpy(), by_end["rank"].to_numpy())

    def merge(self, later: Run) -> Run:
        """Join two runs into one, in time linear in their extents."""
        ranks, events = _joined_events(self, later)
        frames = []
        for run, rank in zip((self, later), ranks, strict=True):
            end_of = np.empty(len(run), np.int64)
            end_of[run.by_end] = run.ends
            starts = {"start": run.starts, "end": end_of[run.by_start], "rank": rank[run.by_start]}
            frames.append((pl.DataFrame(starts), pl.DataFrame({"end": run.ends, "rank": rank[run.by_end]})))
        (starts_a, ends_a), (starts_b, ends_b) = frames
        by_start, by_end = starts_a.merge_sorted(starts_b, "start"), ends_a.merge_sorted(ends_b, "end")
        return self._of(events, by_start.rechunk(), by_end.rechunk())


def _joined_events(a: Run, b: Run) -> tuple[tuple[Labels, Labels], pl.DataFrame]:
    """Give the events of both in order of `seq`, and the new ranks of either's."""
    events = pl.concat([a.events, b.events], rechunk=True)
    ranks = np.arange(len(events), dtype=np.int32)
    if not events["seq"].is_sorted():
        order = events["seq"].arg_sort().to_numpy()
        ranks[order] = ranks.copy()
        events = events[order]
    return (ranks[: len(a)], ranks[len(a) :]), events


class Selection(Protocol):
    """Which extents of a run are meant, one flag each."""

    @property
    def by_start(self) -> NDArray[np.bool_]:
        """In the order of their starts."""

    @property
    def by_end(self) -> NDArray[np.bool_]:
        """In the order of their ends."""


class Figures(NamedTuple):
    """What a layer says about bins, one entry for each; `seq` and `time` (µs) are `LARGEST` where nobody touched the bin."""

    bytes: NDArray[np.object_] | Offsets
    accesses: Offsets
    distinct: Offsets
    seq: Offsets
    time: Offsets


class Slices(NamedTuple):
    """Where those who touch each bin are found: slices of the orders by start and by end, and whoever covers slot number `slot - 1`."""

    started: tuple[Offsets, Offsets]
    ended: tuple[Offsets, Offsets]
    slot: Offsets


class Sums:
    """Bytes and accesses of any window, from extents sorted both ways."""

    def __init__(self, extents: Extents) -> None:
        self.starts, self.ends = Sorted(extents.starts), Sorted(extents.ends)
        self.total = _total(*extents)
        self._number = np.dtype(np.int64) if self.total <= LARGEST else np.dtype(object)
        self._starts_sums, self._ends_sums = (BlockSums.of(each, self._number) for each in extents)

    def __len__(self) -> int:
        """Count the extents."""
        return len(self.starts.values)

    def bins(self, edges: Offsets) -> tuple[Offsets, Offsets]:
        """Count bytes and accesses of each bin between consecutive edges, which must not decrease."""
        begun, over = self.starts.below(edges), self.ends.until(edges)
        wide = edges.astype(self._number, copy=False)
        below = begun * wide - self._starts_sums.first(begun) - (over * wide - self._ends_sums.first(over))
        return np.diff(below), np.where(edges[1:] > edges[:-1], begun[1:] - over[:-1], 0)


class Layer:
    """The extents of `run` that are `chosen` (None: all), ready for questions.

    `older` are the layers of the same filter for the runs before; bytes they hold are not counted as distinct here.
    """

    def __init__(self, run: Run, chosen: Selection | None, older: Sequence[Answering]) -> None:
        self.run = run
        starts, self.by_start, reach, ends, self.by_end = _kept(run, chosen)
        self.sums = Sums(Extents(starts, ends))
        self.total = self.sums.total
        self._starts, self._ends = self.sums.starts, self.sums.ends
        self.cover = without(Cover.of(starts, ends), older)
        self._slots = _slots(reach, self.by_start)
        self._first_by_start, self._first_by_end = RangeMinimum(self.by_start), RangeMinimum(self.by_end)

    def __len__(self) -> int:
        """Count the extents."""
        return len(self.sums)

    @property
    def extents(self) -> Extents:
        """The extents, sorted both ways."""
        return Extents(self._starts.values, self._ends.values)

    def figures(self, edges: Offsets) -> Figures:
        """Answer for the bins between consecutive edges, which must not decrease."""
        touched, accesses = self.sums.bins(edges)
        seq, time = events_of(self.run, self.first(edges))
        return Figures(touched, accesses, np.diff(self.cover.below(edges)), seq, time)

    def first(self, edges: Offsets) -> Labels:
        """Give the rank of the first event in each bin, or `NOBODY`."""
        if not len(self):
            return np.full(len(edges) - 1, NOBODY, np.int32)
        places = self.slices(edges)
        slot = np.where(places.slot > 0, self._slots[np.maximum(places.slot, 1) - 1], NOBODY)
        inside, ended = self._first_by_start.of(*places.started), self._first_by_end.of(*places.ended)
        found: Labels = np.where(edges[1:] > edges[:-1], np.minimum(np.minimum(inside, ended), slot), NOBODY)
        return found

    def slices(self, edges: Offsets) -> Slices:
        """Say where the extents that touch each bin are found; there must be at least one extent."""
        begun, over = self._starts.below(edges), self._ends.until(edges[:-1])
        started = begun[:-1].copy()
        at_edge = np.flatnonzero(self._starts.values[np.minimum(started, len(self) - 1)] == edges[:-1])
        started[at_edge] = self._starts.until(edges[at_edge])
        following = self._starts.values[np.minimum(started, len(self) - 1)]
        soon = np.where(started < len(self), self._ends.until(following), len(self))
        return Slices((begun[:-1], begun[1:]), (over, soon), started)


class Answering(Protocol):
    """What answers for the extents of a run that pass a filter."""

    run: Run
    total: int
    cover: Cover

    @property
    def extents(self) -> Extents:
        """The extents, sorted both ways."""

    def __len__(self) -> int:
        """Count the extents that are held for it."""

    def figures(self, edges: Offsets) -> Figures:
        """Answer for the bins between consecutive edges."""


def without(cover: Cover, older: Sequence[Answering]) -> Cover:
    """Leave out the bytes that other layers hold."""
    for layer in older:
        cover = cover.minus(layer.cover)
    return cover


def events_of(run: Run, ranks: Labels) -> tuple[Offsets, Offsets]:
    """Give `seq` and time of events by rank."""
    seq, time = np.full(len(ranks), LARGEST), np.full(len(ranks), LARGEST)
    some = np.flatnonzero(ranks != NOBODY)
    seq[some], time[some] = run.seq[ranks[some]], run.time[ranks[some]]
    return seq, time


def _kept(run: Run, chosen: Selection | None) -> tuple[Offsets, Labels, Labels, Offsets, Labels]:
    """Give starts, their ranks, their reach, ends, and their ranks, of the extents that are chosen."""
    if chosen is None:
        return run.starts, run.by_start, run.reach, run.ends, run.by_end
    starting, over = np.flatnonzero(chosen.by_start), np.flatnonzero(chosen.by_end)
    before = np.zeros(len(run) + 1, np.int32)
    np.cumsum(chosen.by_start, out=before[1:])
    stayed = before[run.reach[starting]]
    return run.starts[starting], run.by_start[starting], stayed, run.ends[over], run.by_end[over]


def _slots(reach: Labels, ranks: Labels) -> Labels:
    """Give the smallest rank among the extents that cover all of each slot between consecutive starts."""
    whole = np.flatnonzero(reach > np.arange(1, len(reach) + 1, dtype=np.int32)).astype(np.int32)
    return paint(whole, reach[whole] - 1, ranks[whole], len(reach))


def _total(starts: Offsets, ends: Offsets) -> int:
    """Bound the bytes of all extents: cheaply if that is enough, else exactly."""
    if not len(starts):
        return 0
    bound = len(starts) * (int(ends[-1]) - int(starts[0]))
    return bound if bound <= LARGEST else _exact_sum(ends) - _exact_sum(starts)


def _exact_sum(offsets: Offsets) -> int:
    return (int((offsets >> 32).sum()) << 32) + int((offsets & 0xFFFFFFFF).sum())
