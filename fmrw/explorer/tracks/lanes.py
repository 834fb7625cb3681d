"""Lanes: which columns each program touched, a row for each that did most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from fmrw.explorer.tracks.stack import Stack


def lanes(stack: Stack) -> None:
    """Draw a lane for each program, and one for all others."""
    columns = max(1, stack.layout.columns("stack") // 2)
    rows, _ = stack.sample
    for number, (name, key) in enumerate(stack.programs.items()):
        box = stack.row(_label(name, stack.recorded.programs[name]), 0.95)
        stack.columns(box, _covered(rows.filter(stack.who == number), stack.state.window, columns), [key])
    more = len(stack.recorded.programs) - len(stack.programs)
    if more > 0:
        box = stack.row(f"{more} more", 0.95)
        others = rows.filter(stack.who == len(stack.programs))
        stack.columns(box, _covered(others, stack.state.window, columns), ["n"])


def _label(name: str, processes: tuple[tuple[int, str], ...]) -> str:
    """Name a program: its only process, or how many it had."""
    return f"{name} [{processes[0][0]}]" if len(processes) == 1 else f"{name}, {len(processes)} times"


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
