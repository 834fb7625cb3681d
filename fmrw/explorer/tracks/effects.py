"""Effects: what altering the bytes does to the programs that were probed, a row for each program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer.palette import ink_key, spans
from fmrw.explorer.probed import KEYS, RANKED

if TYPE_CHECKING:
    from fmrw.explorer.tracks.stack import Stack

_HEIGHT = 1.15  # units of text


def classes(stack: Stack) -> None:
    """Draw the class that matters most in each column, with its name where there is room."""
    probed, colours = stack.recorded.probed, stack.canvas.colours
    edges = window_edges(*stack.layout.window, stack.layout.columns("stack"))
    for command in probed.commands:
        box = stack.row("what matters" if len(probed.commands) == 1 else command, _HEIGHT)
        numbers = probed.numbers(edges, command)
        stack.columns(box, numbers, list(KEYS))
        unit = box.width / len(numbers)
        for a, b, number in spans(numbers):
            ink = ink_key(colours, KEYS[number - 1])
            stack.label(box, box.left + a * unit, box.left + b * unit, RANKED[number - 1], ink)
