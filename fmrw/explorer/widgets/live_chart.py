"""Live chart (anywidget): a canvas, drawn by Vega in the browser; each step replaces its rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import traitlets

from fmrw.explorer import vega
from fmrw.explorer.widgets.offline import bundle

if TYPE_CHECKING:
    from fmrw.explorer.canvas import Canvas


class LiveChart(anywidget.AnyWidget):
    """The chart of a view.

    Parameters
    ----------
    canvas
        What is drawn at first.

    Attributes
    ----------
    marks : str
        What is drawn, as `Canvas.message` gives it; text, since ipywidgets looks through every list of lists for buffers.
    gesture : dict
        What the pointer did last; see `fmrw.explorer.gestures`.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)
    marks = traitlets.Unicode().tag(sync=True)
    gesture = traitlets.Dict().tag(sync=True)

    def __init__(self, canvas: Canvas) -> None:
        script = bundle(Path(__file__).with_name("live_chart.js").read_text())
        spec = vega.specification(canvas.look, "explorer")
        super().__init__(_esm=script, spec=spec, marks=canvas.message)

    def show(self, canvas: Canvas) -> None:
        """Draw another canvas."""
        self.marks = canvas.message
