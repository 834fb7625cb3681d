"""Remainder: layers of filters that keep nearly all extents, computed from the layer of all and the few that are left out.

Who keeps seven processes of eight need not sort seven eighths of the extents anew. Bytes and accesses are those of all less those of
the few. The first event of a bin is the first of all, unless that is one of the few; in such a bin the others are looked for where
`Layer.slices` says, and whoever covers a slot among the extents that start at most `span` before it. Only the bytes that
*somebody* touched have no such shortcut: what the few touched, others may have touched too, so the many are merged.

Limits. Where one extent covers the starts of very many others, looking before each slot is slower than a layer of their own: that
is then made, at the first question that needs it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fmrw.analysis.index.cover import Extents
from fmrw.analysis.index.layers import Figures, Layer, Sums, events_of, without
from fmrw.analysis.index.selection import Chosen, both
from fmrw.analysis.minima import NOBODY, RangeMinimum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fmrw.analysis.index.cover import Offsets
    from fmrw.analysis.index.layers import Answering, Run
    from fmrw.analysis.minima import Labels

_SHARE = 4  # a layer of its own takes about as long as looking at this part of the extents
_PIECE = 1 << 16  # stays in the cache


class Remainder:
    """The extents of a run that `mask` keeps, by rank, when it leaves out only a few; answers as a `Layer` does.

    Parameters
    ----------
    everybody
        The layer of all extents of the run.
    mask
        Whom to keep, by rank.
    older
        The layers of the same filter for the runs before.
    """

    def __init__(self, everybody: Layer, mask: NDArray[np.bool_], older: Sequence[Answering]) -> None:
        self.run: Run = everybody.run
        self.total = everybody.total
        self._everybody, self._mask = everybody, mask
        self._left_out = Chosen.of(self.run, ~mask)
        self._few = Sums(Extents(*self._left_out.offsets(self.run)))
        self.cover = without(self._left_out.others.cover(self.run), older)

    def __len__(self) -> int:
        """Count the extents that are held for it; labels of all take as much as a fifth of them."""
        return len(self._few) + len(self.run) // 5

    @property
    def extents(self) -> Extents:
        """The extents that are kept, sorted both ways; made anew each time."""
        return Extents(*self._left_out.others.offsets(self.run))

    def figures(self, edges: Offsets) -> Figures:
        """Answer for the bins between consecutive edges, which must not decrease."""
        (all_bytes, all_accesses), (few_bytes, few_accesses) = (
            sums.bins(edges) for sums in (self._everybody.sums, self._few)
        )
        seq, time = events_of(self.run, self._first(edges))
        distinct = np.diff(self.cover.below(edges))
        return Figures(all_bytes - few_bytes, all_accesses - few_accesses, distinct, seq, time)

    def _first(self, edges: Offsets) -> Labels:
        first = self._everybody.first(edges)
        known = first != NOBODY
        left_out = np.flatnonzero(known & ~self._mask[np.where(known, first, 0)])
        if len(left_out):
            first[left_out] = self._looked_for(edges, left_out)
        return first

    def _looked_for(self, edges: Offsets, bins: Offsets) -> Labels:
        """Find the first of those kept in bins whose first is left out."""
        places = self._everybody.slices(edges)
        slot = places.slot[bins]
        covering = _covering(self.run, np.maximum(slot - self._span, 0), slot)
        if covering is None:
            return self._apart.first(edges)[bins]
        by_start, by_end = self._smallest
        found = np.full(len(edges) - 1, NOBODY, np.int32)
        which, ranks = covering
        kept = self._mask[ranks]
        np.minimum.at(found, bins[which[kept]], ranks[kept])
        for smallest, (low, high) in ((by_start, places.started), (by_end, places.ended)):
            found[bins] = np.minimum(found[bins], smallest.of(low[bins], high[bins]))
        return found[bins]

    @cached_property
    def _smallest(self) -> tuple[RangeMinimum, RangeMinimum]:
        """The smallest rank of those kept in any slice of either order."""
        few, run = self._left_out, self.run
        return both(_minimum, (run.by_start, few.by_start), (run.by_end, few.by_end))

    @cached_property
    def _span(self) -> int:
        """How many starts the extent that holds most of them does."""
        reach, step = self.run.reach, np.arange(_PIECE, dtype=np.int32)
        pieces = ((at, reach[at : at + _PIECE]) for at in range(0, len(reach), _PIECE))
        return max((int((each - step[: len(each)]).max()) - at for at, each in pieces), default=0)

    @cached_property
    def _apart(self) -> Layer:
        return Layer(self.run, Chosen.of(self.run, self._mask), ())


def _minimum(pair: tuple[Labels, NDArray[np.bool_]]) -> RangeMinimum:
    return RangeMinimum(*pair)


def _covering(run: Run, low: Offsets, high: Offsets) -> tuple[Offsets, Labels] | None:
    """Look at starts [low, high) for extents that reach beyond start number `high`: for which pair, and their ranks; None if too many."""
    lengths = high - low
    if lengths.sum() > len(run) // _SHARE:
        return None
    which = np.repeat(np.arange(len(low)), lengths)
    places = np.arange(len(which)) + np.repeat(low - (np.cumsum(lengths) - lengths), lengths)
    reaching = run.reach[places] > high[which]
    return which[reaching], run.by_start[places[reaching]]
