"""Mimebundle: what IPython is given to show; a widget, a picture and text.

A saved notebook keeps the picture and the text, so that something is seen where no kernel runs. In a terminal, or without the packages
of the widgets, there is the text and a line that says what to install.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from fmrw.explorer import raster
from fmrw.figures.frontend import in_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmrw.explorer.canvas import Canvas

INSTALL = "The explorer needs the notebook's widgets: pip install 'fmrw[notebook]'"
TERMINAL = "A terminal shows text only; for the explorer: pip install 'fmrw[notebook]', then `jupyter lab`"
_SCALE = 1.5


def bundle(canvas: Canvas, text: str, widget: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Give the widget, a picture and the text; in a terminal the text alone."""
    if in_terminal():
        return {"text/plain": f"{text}\n{TERMINAL}"}
    picture = base64.b64encode(raster.png(canvas, _SCALE)).decode()
    return {**beside(text, widget), "image/png": picture}


def beside(text: str, widget: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Give a widget and its text; without the widgets' packages the text, and what to install."""
    try:
        return {**widget(), "text/plain": text}
    except ImportError:
        return {"text/plain": f"{text}\n{INSTALL}"}
