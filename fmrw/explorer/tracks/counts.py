"""Count tracks: how often each column was read and written, which no read touched, and the offsets below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer.axis import axis
from fmrw.explorer.filters import Choice
from fmrw.explorer.palette import UNREAD
from fmrw.trace.exactness import unread_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fmrw.explorer.tracks.stack import Stack


def strips(stack: Stack) -> None:
    """Draw each operation in the colours of the view, and what no read touched."""
    edges = window_edges(*stack.layout.window, stack.layout.columns("stack"))
    for op in stack.ops:
        box = stack.row(f"{op}s", 2.2 if op == "read" else 1.5)
        stack.columns(box, stack.colouring.numbers(edges, op), stack.colouring.keys(op))
        if op == "read":
            _unread(stack, edges)


def _unread(stack: Stack, edges: NDArray[np.int64]) -> None:
    distinct = stack.recorded.bins(edges, "read", stack.choice)["distinct"].to_numpy()
    looks = np.where(distinct == 0, 2, np.where(distinct < np.diff(edges), 1, 0))
    never = unread_text(mapped=stack.recorded.mapped)
    box = stack.row(never if stack.choice == Choice() or stack.recorded.mapped else "not read", 0.9)
    stack.columns(box, looks, ["h", UNREAD])


def offsets(stack: Stack) -> None:
    """Write the offsets that all tracks share."""
    axis(stack.canvas, stack.layout, "stack", stack.y - stack.text * 0.2)
    stack.y += stack.text * 1.2
