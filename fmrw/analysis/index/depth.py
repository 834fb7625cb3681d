"""Depth: how many extents share one byte, and the greatest depth in any window.

Walking along a file, the depth grows by one at each start and shrinks by one at each end, so its peaks lie right behind
starts. With starts and ends sorted, the depth behind start number i is i + 1 less the ends at or before it. The peak in
[x, y) is the larger of the depth at x and the largest depth behind a start in (x, y), and that is a range maximum.

While a recording grows, only its newest extents are new. They cut the window into pieces in which their own depth does not
change; to that of each piece the peak of the older ones is added. So a question costs the newest extents, not all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fmrw.analysis.index.cover import Extents, Offsets, Sorted
from fmrw.analysis.minima import BLOCK, RangeMinimum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.analysis.minima import Labels

_WIDTH = 2 * BLOCK  # what a slice costs by table
_PIECE = 1 << 16
_LEFT = 0.7  # share of the starts a step may leave over, or searching for the rest is faster
_SHARE = 4  # extents that are new, as a share of the older ones, from which all are put together anew


class Depth:
    """The depth along a file of extents that are known already."""

    def __init__(self, extents: Extents) -> None:
        self._starts, self._ends = Sorted(extents.starts), Sorted(extents.ends)
        # Below zero: the depth behind each start, turned round so that a minimum is the peak; a zero ends the last slice.
        self._behind = _behind(extents)
        self._highest = RangeMinimum(self._behind[:-1])

    def __len__(self) -> int:
        """Count the extents."""
        return len(self._starts.values)

    def at(self, places: Offsets) -> Offsets:
        """Give the depth of the bytes at some offsets."""
        if len(places) * _WIDTH < len(self):
            few: Offsets = self._starts.until(places) - self._ends.until(places)
            return few
        return _until(self._starts.values, places) - _until(self._ends.values, places)

    def peaks(self, edges: Offsets) -> Offsets:
        """Give the greatest depth in each bin between consecutive edges, which must not decrease; 0 in an empty one."""
        if not len(self):
            return np.zeros(len(edges) - 1, np.int64)
        many = len(edges) * _WIDTH >= len(self)  # places in order are found fast by numpy's own search
        begun = np.searchsorted(self._starts.values, edges, "left") if many else self._starts.below(edges)
        behind = np.maximum(-self._lowest(begun), 0).astype(np.int64)
        found: Offsets = np.maximum(behind, self.at(edges[:-1]))
        return np.where(edges[1:] > edges[:-1], found, 0)

    def _lowest(self, cuts: Offsets) -> Labels:
        """Give the smallest value between consecutive places: by table where slices are few, else in one pass over all."""
        if len(cuts) * _WIDTH < len(self):
            return self._highest.of(cuts[:-1], cuts[1:])
        found: Labels = np.minimum.reduceat(self._behind, cuts)[:-1]
        found[cuts[:-1] == cuts[1:]] = 0
        return found


class Depths:
    """The depth of a recording that grows: what was there when it was last put together, and what has come since."""

    def __init__(self) -> None:
        self._known: list[object] = []
        self._base = Depth(Extents.joined(()))

    def peaks(self, edges: Offsets, parts: Sequence[tuple[object, Extents]]) -> Offsets:
        """Give the greatest depth in each bin.

        Parameters
        ----------
        edges
            Offsets that do not decrease, one more than there are bins.
        parts
            The extents in pieces, each with what it is known by; pieces are put at the end or merged, never changed.
        """
        known = len(self._known)
        same = len(parts) >= known and all(a is b for a, (b, _) in zip(self._known, parts, strict=False))
        newer = [extents for _, extents in parts[known:]]
        if not same or sum(len(each.starts) for each in newer) * _SHARE > len(self._base):
            self._known = [key for key, _ in parts]
            self._base, newer = Depth(Extents.joined([extents for _, extents in parts])), []
        return _with(self._base, Extents.joined(newer), edges) if newer else self._base.peaks(edges)


def _behind(extents: Extents) -> Labels:
    """Give the depth behind each start, below zero, and a zero at the end; in pieces that stay in the cache."""
    count = len(extents.starts)
    behind = np.full(count + 1, -1, np.int32)
    behind[count] = 0
    for at in range(0, count, _PIECE):
        _deepen(behind, extents, at, min(at + _PIECE, count))
    return behind


def _deepen(behind: Labels, extents: Extents, low: int, high: int) -> None:
    """Set the depth behind the starts number [low, high).

    It is above k where the start lies before the end that comes k places earlier. Most files are touched a few times at any
    place: then comparing place by place is several times as fast as a search for each start. As soon as a step leaves most of the
    starts over, they are searched for.
    """
    starts, ends = extents
    first = max(low, 1)
    deeper = np.flatnonzero(starts[first:high] < ends[first - 1 : high - 1]) + first
    before, depth = high - low, 1
    while len(deeper) < _LEFT * before:
        before, depth = len(deeper), depth + 1
        behind[deeper] = -depth
        deeper = deeper[deeper >= depth]
        deeper = deeper[starts[deeper] < ends[deeper - depth]]
    behind[deeper] = np.searchsorted(ends, starts[deeper], "right") - deeper - 1


def _until(values: Offsets, places: Offsets) -> Offsets:
    return np.searchsorted(values, places, "right").astype(np.int64, copy=False)


def _with(base: Depth, newer: Extents, edges: Offsets) -> Offsets:
    """Add few extents to many: cut the window where the few begin and end."""
    low, high = edges[0], edges[-1]
    borders = np.concatenate([newer.starts, newer.ends])
    inside = borders[(borders > low) & (borders < high)]
    cuts = np.unique(np.concatenate([edges, inside]))
    few = _until(newer.starts, cuts[:-1]) - _until(newer.ends, cuts[:-1])
    pieces = base.peaks(cuts) + few
    first = np.searchsorted(cuts, edges[:-1], "left")
    found = np.zeros(len(edges) - 1, np.int64)
    wide = edges[1:] > edges[:-1]
    if wide.any():
        found[wide] = np.maximum.reduceat(pieces, first[wide])
    return found
