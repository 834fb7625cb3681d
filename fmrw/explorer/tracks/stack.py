"""Stack: gives the tracks their rows, from top to bottom, and what several of them need."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from fmrw.explorer.palette import spans
from fmrw.explorer.tracks.groups import by_function, by_program
from fmrw.figures.page import Box, shorten

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from fmrw.explorer.context import DrawingContext
    from fmrw.explorer.tracks.groups import Groups

SAMPLE = 50_000
"""Accesses of the window that are looked at for the lanes and for the plane of offset and time."""

_NAME, _GAP = 8.6, 0.3  # units of text: room for a name, and between two rows


class NoRoomError(Exception):
    """No row is left; the tracks that were to come are left out."""


class Stack:
    """The rows of one picture.

    Attributes
    ----------
    y : float
        Where the next row begins, in points.
    text : float
        Points of the picture's text; heights are given in units of it.
    """

    def __init__(self, context: DrawingContext) -> None:
        self.context = context
        self.recorded, self.state, self.choice = context.recorded, context.state, context.choice
        self.canvas, self.layout = context.canvas, context.layout
        self.colouring, self.ops = context.colouring, context.ops
        self.text = context.canvas.look.text
        self.y = context.layout.stack.top

    def row(self, name: str, height: float, *, background: bool = True) -> Box:
        """Begin a track: its name in the gutter, its background, its box.

        Raises
        ------
        NoRoomError
            It would stand below the stack.
        """
        stack, text = self.layout.stack, self.text
        if self.y + height * text > stack.bottom + 0.5:
            raise NoRoomError
        box = Box(stack.left, self.y, stack.width, height * text)
        if background:
            self.canvas.rect(box.left, box.top, box.right, box.bottom, "g")
        if name:
            middle = box.top + min(box.height, text * 2.2) / 2 + text * 0.32
            self.gutter(middle, name, "ink", 0.9)
        self.y = box.bottom + text * _GAP
        return box

    def gutter(self, y: float, text: str, key: str = "faint", size: float = 0.85) -> None:
        """Write to the left of the rows."""
        shown = shorten(text, self.text * _NAME, self.text * size)
        self.canvas.text(self.layout.stack.left - self.text * 0.7, y, shown, key, size=size, align="right")

    def bar(self, box: Box, start: int, end: int, key: str) -> tuple[float, float]:
        """Draw a range of the file, at least a visible sliver of it; give its edges in points."""
        x, x2 = self.edges(box, start, end)
        self.canvas.rect(x, box.top, x2, box.bottom, key)
        return x, x2

    def edges(self, box: Box, start: int, end: int) -> tuple[float, float]:
        """Give where a range of the file is drawn."""
        x, x2 = self.layout.x(start), self.layout.x(end)
        return x, max(x2, min(x + 1, box.right))

    def label(self, box: Box, x: float, x2: float, name: str, key: str = "ink") -> None:
        """Write a name into a bar that has room for it."""
        text = self.text
        shown = shorten(name, x2 - x - text * 0.6, text * 0.8)
        if len(shown) * text * 0.42 < x2 - x - text * 0.4:
            middle = box.top + box.height / 2 + text * 0.28
            self.canvas.text((x + x2) / 2, middle, shown, key, size=0.8, align="center")

    def columns(self, box: Box, numbers: NDArray[np.int64], keys: list[str]) -> None:
        """Fill the columns of a row: number n in the colour of the n-th key, 0 not at all."""
        unit = box.width / len(numbers)
        for a, b, number in spans(numbers):
            self.canvas.rect(box.left + a * unit, box.top, box.left + b * unit, box.bottom, keys[number - 1])

    # Who

    @cached_property
    def sample(self) -> tuple[pl.DataFrame, int]:
        """Accesses of the window, every n-th where there are many, and how many there are."""
        return self.recorded.sample(self.choice, self.layout.window, SAMPLE)

    @cached_property
    def groups(self) -> Groups:
        """Who the sampled accesses are of."""
        make = by_function if self.state.colour == "function" else by_program
        return make(self.recorded, self.sample[0])
