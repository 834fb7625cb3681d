"""Lanes: which columns each program, or each function, touched, a row for each that did most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from fmrw.explorer.tracks.stack import Stack


def lanes(stack: Stack) -> None:
    """Draw a lane for each program, or function where bytes are coloured by these, and one for all others."""
    columns = max(1, stack.layout.columns("stack") // 2)
    rows, groups = stack.sample[0], stack.groups
    shown = [*groups.lanes, *([(f"{groups.more} more", "n")] if groups.more > 0 else [])]
    for number, (label, key) in enumerate(shown):
        box = stack.row(label, 0.95)
        stack.columns(box, _covered(rows.filter(groups.lane == number), stack.state.window, columns), [key])


def _covered(rows: pl.DataFrame, window: tuple[int, int], columns: int) -> NDArray[np.int64]:
    """Say of each column whether a row touches it."""
    start, length = window[0], window[1] - window[0]
    last = columns - 1
    low = np.clip((rows["start"].to_numpy() - start) * (columns / length), 0, last).astype(np.int64)
    high = np.clip((rows["end"].to_numpy() - 1 - start) * (columns / length), 0, last).astype(np.int64)
    steps = (
        np.bincount(low, minlength=columns + 1) - np.bincount(high + 1, minlength=columns + 1)[: columns + 1]
    )
    return (np.cumsum(steps)[:columns] > 0).astype(np.int64)
