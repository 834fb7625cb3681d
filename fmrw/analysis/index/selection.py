"""Selection: which extents of a run a filter means. Both orders are looked at at once, since numpy releases the interpreter's lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fmrw.analysis.index.cover import Cover

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fmrw.analysis.index.cover import Offsets
    from fmrw.analysis.index.layers import Run
    from fmrw.analysis.minima import Labels

_CHUNK = 1 << 17


class Chosen(NamedTuple):
    """Which extents of a run are meant, in the order of their starts and in the order of their ends."""

    by_start: NDArray[np.bool_]
    by_end: NDArray[np.bool_]

    @classmethod
    def of(cls, run: Run, mask: NDArray[np.bool_]) -> Chosen:
        """Choose those that `mask` keeps, by rank."""
        return cls(*_both(partial(_look_up, mask), run.by_start, run.by_end))

    @property
    def others(self) -> Chosen:
        """Those that are not meant."""
        return Chosen(~self.by_start, ~self.by_end)

    def offsets(self, run: Run) -> tuple[Offsets, Offsets]:
        """Give their starts and their ends, each sorted."""
        return _both(_filtered, (run.starts, self.by_start), (run.ends, self.by_end))

    def cover(self, run: Run) -> Cover:
        """Merge them."""
        return Cover.of(*self.offsets(run))


def _both(function: Callable[[Any], Any], one: object, two: object) -> tuple[Any, Any]:
    """Do two things at once; numpy leaves the interpreter's lock to others meanwhile."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(function, (one, two))
    return first, second


def _filtered(pair: tuple[Offsets, NDArray[np.bool_]]) -> Offsets:
    values, kept = pair
    return values[kept]


def _look_up(mask: NDArray[np.bool_], ranks: Labels) -> NDArray[np.bool_]:
    """Give `mask[ranks]`, in pieces that stay in the cache: twice as fast as at once."""
    found = np.empty(len(ranks), np.bool_)
    for at in range(0, len(ranks), _CHUNK):
        found[at : at + _CHUNK] = mask.take(ranks[at : at + _CHUNK])
    return found
