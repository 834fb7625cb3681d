"""Mimebundle: what IPython is given to show; the widget with a text, and what a saved notebook keeps of it.

In a terminal, or without the packages of the widgets, there is the text and a line that says what to install.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from fmrw.explorer import raster
from fmrw.figures.frontend import in_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmrw.explorer.canvas import Canvas
    from fmrw.explorer.kept import Kept, Still

INSTALL = "The explorer needs the notebook's widgets: pip install 'fmrw[notebook]'"
TERMINAL = "A terminal shows text only; for the explorer: pip install 'fmrw[notebook]', then `jupyter lab`"
_SCALE = 1.5


def display(line: str, text: Callable[[], str], widget: Callable[[], Mapping[str, Any]], *kept: Kept) -> None:
    """Put out a widget with a line, and behind it the pictures that stay; where no widget can be, the text alone."""
    from IPython.display import publish_display_data  # noqa: PLC0415 - who displays has it

    if in_terminal():
        publish_display_data({"text/plain": f"{text()}\n{TERMINAL}"})  # type: ignore[no-untyped-call]
        return
    try:
        shown = {**widget(), "text/plain": line}
    except ImportError:
        shown = {"text/plain": f"{text()}\n{INSTALL}"}
    publish_display_data(shown)  # type: ignore[no-untyped-call]
    for each in kept:
        each.show()


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
