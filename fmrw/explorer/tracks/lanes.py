"""Lanes: which columns each program, or each function, touched, a row for each that did most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fmrw.explorer.tracks.stack import Stack


def lanes(stack: Stack) -> None:
    """Draw a lane for each program, or function where bytes are coloured by these, and one for all others."""
    columns = max(1, stack.layout.columns("stack") // 2)
    edges, groups = [stack.sample[0][name].to_numpy() for name in ("start", "end")], stack.groups
    shown = [*groups.lanes, *([(f"{groups.more} more", "n")] if groups.more > 0 else [])]
    for number, (label, key) in enumerate(shown):
        starts, ends = (each[groups.lane == number] for each in edges)
        box = stack.row(label, 0.95)
        stack.columns(box, _covered(starts, ends, stack.state.window, columns), [key])


def _covered(
    starts: NDArray[np.int64], ends: NDArray[np.int64], window: tuple[int, int], columns: int
) -> NDArray[np.int64]:
    """Say of each column whether an access touches it."""
    start, length = window[0], window[1] - window[0]
    last = columns - 1
    low = np.clip((starts - start) * (columns / length), 0, last).astype(np.int64)
    high = np.clip((ends - 1 - start) * (columns / length), 0, last).astype(np.int64)
    steps = (
        np.bincount(low, minlength=columns + 1) - np.bincount(high + 1, minlength=columns + 1)[: columns + 1]
    )
    return (np.cumsum(steps)[:columns] > 0).astype(np.int64)
