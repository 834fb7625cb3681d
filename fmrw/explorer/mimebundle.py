"""Mimebundle: what IPython is given to show; the widget with a text, and what a saved notebook keeps of it.

In a terminal, or without the packages of the widgets, there is the text and a line that says what to install.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from fmrw.explorer import canvas, raster
from fmrw.explorer.outputs import cell, publish
from fmrw.figures.frontend import in_notebook, in_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ipywidgets  # type: ignore[import-untyped] # ships no types

    from fmrw.explorer.canvas import Canvas
    from fmrw.explorer.kept import Kept
    from fmrw.explorer.outputs import Still
    from fmrw.explorer.widgets.live_chart import LiveChart

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
    """What stands where something is to come: its place, the number of its cell, the chart that is to be filled, and the box around it."""

    place: str
    cell: int
    chart: LiveChart | None
    box: ipywidgets.Box | None

    @classmethod
    def begin(cls, line: str) -> Self | None:
        """Say in a notebook what takes its time; None where no notebook is.

        It is said in text at once, and then on the chart that the widget will have, in a box like those of the widget, so that the browser
        loads what draws and what makes buttons while the kernel counts.
        """
        if not in_notebook():
            return None
        chart, box = None, None
        place = publish(({"text/plain": line}, {}))
        with contextlib.suppress(ImportError):  # told when the widget is to be shown
            import ipywidgets  # noqa: PLC0415 - the extra `notebook` may be missing

            from fmrw.explorer.widgets.live_chart import LiveChart  # noqa: PLC0415 - as above

            chart = LiveChart(canvas.note(line))
            box = ipywidgets.Box([chart])
            publish(({**box._repr_mimebundle_(), "text/plain": line}, {}), place)
        return cls(place, cell(), chart, box)

    def end(self, line: str) -> None:
        """Say what came of it; "": nothing."""
        publish(({"text/plain": line}, {}), self.place)
        if self.box is not None:
            self.box.close()
        if not line and self.chart is not None:
            self.chart.close()


def still(drawn: Canvas, text: str) -> Still:
    """Give a picture and the text."""
    size = {"width": round(drawn.look.width), "height": round(drawn.look.height)}
    picture = base64.b64encode(raster.png(drawn, _SCALE)).decode()
    return {"image/png": picture, "text/plain": text}, {"image/png": size}


def beside(text: str, widget: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Give a widget and its text; without the widgets' packages the text, and what to install."""
    try:
        return {**widget(), "text/plain": text}
    except ImportError:
        return {"text/plain": f"{text}\n{INSTALL}"}
