"""Compared: where only one of those compared touched bytes, where all did, and where nobody, a row for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer.comparison import classes, sides

if TYPE_CHECKING:
    from fmrw.explorer.tracks.stack import Stack


def compared(stack: Stack) -> None:
    """Draw a row for each class that has a byte in the file; a column is marked where it holds one of them."""
    if stack.state.colour != "compare":
        return
    edges = window_edges(*stack.layout.window, stack.layout.columns("stack"))
    op = "write" if stack.choice.ops == "write" else "read"
    for each in classes(stack.recorded, sides(stack.recorded, stack.state.compare), op):
        if len(each.cover.starts):
            held = (np.diff(each.cover.below(edges)) > 0).astype(np.int64)
            stack.columns(stack.row(each.label, 1.1), held, [each.key])
