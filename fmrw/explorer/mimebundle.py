"""Mimebundle: what IPython is given to show; the widget with a text, and what a saved notebook keeps of it.

In a terminal, or without the packages of the widgets, there is the text and a line that says what to install.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from fmrw.explorer import raster
from fmrw.explorer.outputs import cell, publish
from fmrw.figures.frontend import in_notebook, in_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fmrw.explorer.canvas import Canvas
    from fmrw.explorer.kept import Kept
    from fmrw.explorer.outputs import Still

INSTALL = "The explorer needs the notebook's widgets: pip install 'fmrw[notebook]'"
TERMINAL = "A terminal shows text only; for the explorer: pip install 'fmrw[notebook]', then `jupyter lab`"
_SCALE = 1.5


def display(
    line: str,
    text: Callable[[], str],
    widget: Callable[[], Mapping[str, Any]],
    kept: Sequence[Kept],
    *,
    waiting: Waiting | None = None,
) -> None:
    """Put out a widget with a line, and behind it the pictures that stay; where no widget can be, the text alone.

    Parameters
    ----------
    waiting
        What stands where the widget is to come, if it was put out in this cell.
    """
    if in_terminal():
        publish(({"text/plain": f"{text()}\n{TERMINAL}"}, {}))
        return
    place = waiting.place if waiting is not None and waiting.cell == cell() else ""
    try:
        shown = {**widget(), "text/plain": line}
    except ImportError:
        shown = {"text/plain": f"{text()}\n{INSTALL}"}
    publish((shown, {}), place)
    for each in kept:
        each.show()


class Waiting(NamedTuple):
    """A line where something is to come: its place, and the number of its cell."""

    place: str
    cell: int

    @classmethod
    def begin(cls, line: str) -> Self | None:
        """Say in a notebook what takes its time; None where no notebook is."""
        return cls(publish(({"text/plain": line}, {})), cell()) if in_notebook() else None

    def end(self, line: str) -> None:
        """Say what came of it."""
        publish(({"text/plain": line}, {}), self.place)


def still(canvas: Canvas, text: str) -> Still:
    """Give a picture and the text."""
    size = {"width": round(canvas.look.width), "height": round(canvas.look.height)}
    picture = base64.b64encode(raster.png(canvas, _SCALE)).decode()
    return {"image/png": picture, "text/plain": text}, {"image/png": size}


def beside(text: str, widget: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Give a widget and its text; without the widgets' packages the text, and what to install."""
    try:
        return {**widget(), "text/plain": text}
    except ImportError:
        return {"text/plain": f"{text}\n{INSTALL}"}
