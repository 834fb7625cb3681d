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
    groups = stack.groups
    columns = max(1, stack.layout.columns("stack") // 2)
    covered = _covered(stack.sample[0], groups.lane, len(groups.lanes) + 1, stack.state.window, columns)
    shown = [*groups.lanes, *([(f"{groups.more} more", "n")] if groups.more > 0 else [])]
    for number, (label, key) in enumerate(shown):
        stack.columns(stack.row(label, 0.95), covered[number], [key])


def _covered(
    rows: pl.DataFrame, lane: NDArray[np.int64], lanes: int, window: tuple[int, int], columns: int
) -> NDArray[np.int64]:
    """Say of each column of each lane whether an access touches it."""
    start, length = window[0], window[1] - window[0]
    first, last = (
        np.clip((places - start) * (columns / length), 0, columns - 1).astype(np.int64)
        for places in (rows["start"].to_numpy(), rows["end"].to_numpy() - 1)
    )
    wide = columns + 1
    begun, ended = (np.bincount(lane * wide + at, minlength=lanes * wide) for at in (first, last + 1))
    depth = np.cumsum((begun - ended).reshape(lanes, wide), axis=1)
    return (depth[:, :columns] > 0).astype(np.int64)
