"""Smallest labels: over overlapping intervals of cells, and over any slice of an array.

Both halves use that two blocks of a power of two cover any interval, and that covering twice does no harm to a
minimum (the idea of the sparse table: Bender and Farach-Colton, "The LCA problem revisited", 2000). Labels are
int32 and smaller than `NOBODY`, which stands for "no label". Nothing here knows of files or events.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOBODY = int(np.iinfo(np.int32).max)
"""The label of a cell that no interval covers."""

BLOCK = 32
_PIECE = 1 << 17

Labels = NDArray[np.int32]
Places = NDArray[np.int64]


def paint(lo: NDArray[np.integer], hi: NDArray[np.integer], labels: Labels, cells: int) -> Labels:
    """Give each of `cells` cells the smallest label among the intervals [lo, hi) that cover it.

    Each interval is written as two blocks of the largest power of two that fits; going down the powers, every
    block hands its label to its two halves. O(cells · log(longest) + intervals).
    """
    painted, spare = np.full(cells, NOBODY, np.int32), np.empty(cells, np.int32)
    power = _power(lo, hi)
    for level in range(int(power.max(initial=-1)), -1, -1):
        step = 1 << level
        chosen = np.flatnonzero(power == level)
        np.minimum.at(painted, lo[chosen], labels[chosen])
        np.minimum.at(painted, hi[chosen] - step, labels[chosen])
        half = step >> 1
        if half:
            spare[:half] = painted[:half]
            np.minimum(painted[half:], painted[:-half], out=spare[half:])
            painted, spare = spare, painted
    return painted


def _power(lo: NDArray[np.integer], hi: NDArray[np.integer]) -> NDArray[np.int8]:
    """Give the largest power of two in each length, -1 for none; piecewise, since fresh memory costs more than counting."""
    power = np.empty(len(lo), np.int8)
    for at in range(0, len(lo), _PIECE):
        piece = slice(at, at + _PIECE)
        power[piece] = np.frexp(np.maximum(hi[piece] - lo[piece], 0))[1] - 1
    return power


class RangeMinimum:
    """Smallest label in any slice of `labels`, at the price of 2 · `BLOCK` look-ups however long the slice is.

    Parameters
    ----------
    labels
        All labels.
    left_out
        Which of them do not count, as if they were `NOBODY`; None if all do.
    """

    def __init__(self, labels: Labels, left_out: NDArray[np.bool_] | None = None) -> None:
        self._labels, self._left_out = labels, left_out
        pieces = (self._at(slice(at, at + _PIECE)) for at in range(0, len(labels), _PIECE))
        row = np.concatenate([np.zeros(0, np.int32), *map(_smallest_of_blocks, pieces)])
        self._table = [row]
        while len(row) >= 1 << len(self._table):
            step = 1 << (len(self._table) - 1)
            shifted = self._table[-1]
            self._table.append(np.minimum(shifted[:-step], shifted[step:]))

    def of(self, lo: Places, hi: Places) -> Labels:
        """Give the smallest label of each slice [lo, hi); `NOBODY` where it is empty."""
        first, last = -(-lo // BLOCK), hi // BLOCK
        ragged = np.minimum(
            self._scan(lo, np.minimum(hi, first * BLOCK)), self._scan(np.maximum(lo, last * BLOCK), hi)
        )
        return np.minimum(ragged, self._whole(first, last))

    def _at(self, places: slice | Places) -> Labels:
        labels = self._labels[places]
        if self._left_out is None:
            return labels
        return np.where(self._left_out[places], np.int32(NOBODY), labels)

    def _scan(self, lo: Places, hi: Places) -> Labels:
        found = np.full(len(lo), NOBODY, np.int32)
        some = np.flatnonzero(lo < hi)
        steps = np.arange(BLOCK)[:, None]  # along the first axis numpy compares whole rows at once
        places = lo[some] + steps
        inside = np.minimum(places, hi[some] - 1, out=places)
        found[some] = self._at(inside).min(axis=0, initial=NOBODY)
        return found

    def _whole(self, first: Places, last: Places) -> Labels:
        found = np.full(len(first), NOBODY, np.int32)
        power = np.frexp(np.maximum(last - first, 0))[1] - 1
        for level in np.flatnonzero(np.bincount(power[power >= 0])).tolist():
            chosen = np.flatnonzero(power == level)
            row = self._table[level]
            found[chosen] = np.minimum(row[first[chosen]], row[last[chosen] - (1 << level)])
        return found


def _smallest_of_blocks(labels: Labels) -> Labels:
    found: Labels = np.minimum.reduceat(labels, np.arange(0, len(labels), BLOCK))
    return found
