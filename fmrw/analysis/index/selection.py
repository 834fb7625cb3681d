"""Selection: which extents of a run a filter means. Both orders are looked at at once, since numpy releases the interpreter's lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fmrw.analysis.index.cover import Cover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from fmrw.analysis.index.cover import Offsets
    from fmrw.analysis.index.layers import Run
    from fmrw.analysis.minima import Labels

_CHUNK = 1 << 16
_NEVER = int(np.iinfo(np.int64).min)  # before all offsets


class Chosen(NamedTuple):
    """Which extents of a run are meant, in the order of their starts and in the order of their ends."""

    by_start: NDArray[np.bool_]
    by_end: NDArray[np.bool_]

    @classmethod
    def of(cls, run: Run, mask: NDArray[np.bool_]) -> Chosen:
        """Choose those that `mask` keeps, by rank."""
        return cls(*both(partial(_look_up, np.packbits(mask, bitorder="little")), run.by_start, run.by_end))

    @property
    def others(self) -> Chosen:
        """Those that are not meant."""
        return Chosen(~self.by_start, ~self.by_end)

    def offsets(self, run: Run) -> tuple[Offsets, Offsets]:
        """Give their starts and their ends, each sorted."""
        return both(_filtered, (run.starts, self.by_start), (run.ends, self.by_end))

    def cover(self, run: Run) -> Cover:
        """Merge them as `Cover.of` does, in pieces that stay in the cache: first use of memory costs more than merging."""
        count = int(self.by_start.sum())
        # Room for as many ranges as there are extents: what is not written to takes no memory.
        begins, stops = np.empty(count, np.int64), np.empty(count + 1, np.int64)
        ends_before = chain([np.array([_NEVER])], _pieces(run.ends, self.by_end))
        found = 0
        for starts, ends in _paired(_pieces(run.starts, self.by_start), ends_before):
            apart = np.flatnonzero(starts > ends)
            place = slice(found, found := found + len(apart))
            starts.take(apart, out=begins[place], mode="clip")
            ends.take(apart, out=stops[place], mode="clip")
        if count:
            stops[found] = run.ends[len(run) - 1 - int(self.by_end[::-1].argmax())]
        return Cover(begins[:found], stops[1 : found + 1])


def both(function: Callable[[Any], Any], one: object, two: object) -> tuple[Any, Any]:
    """Do two things at once; numpy leaves the interpreter's lock to others meanwhile."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(function, (one, two))
    return first, second


def _filtered(pair: tuple[Offsets, NDArray[np.bool_]]) -> Offsets:
    values, kept = pair
    return values.compress(kept)


def _pieces(values: Offsets, kept: NDArray[np.bool_]) -> Iterator[Offsets]:
    for at in range(0, len(values), _CHUNK):
        yield values[at : at + _CHUNK].compress(
            kept[at : at + _CHUNK]
        )  # in a third of the time that [] takes


def _paired(one: Iterator[Offsets], two: Iterator[Offsets]) -> Iterator[tuple[Offsets, Offsets]]:
    """Cut the pieces of two sequences where those of either end, until one sequence does."""
    first, second = next(one, None), next(two, None)
    while first is not None and second is not None:
        length = min(len(first), len(second))
        yield first[:length], second[:length]
        first = first[length:] if length < len(first) else next(one, None)
        second = second[length:] if length < len(second) else next(two, None)


def _look_up(bits: NDArray[np.uint8], ranks: Labels) -> NDArray[np.bool_]:
    """Give flags by rank, in pieces that stay in the cache; eight flags are a byte, so that all of them stay there too."""
    found = np.empty(len(ranks), np.uint8)
    for at in range(0, len(ranks), _CHUNK):
        piece, into = ranks[at : at + _CHUNK], found[at : at + _CHUNK]
        bits.take(piece >> 3, out=into, mode="clip")  # another mode than "raise" writes to where it goes
        into >>= (piece & 7).astype(np.uint8)
        into &= 1
    return found.view(np.bool_)
