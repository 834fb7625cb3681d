"""Chart: the altair chart of a canvas, for whoever wants what an explorer shows as a figure; the live chart is made by `vega`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from fmrw.figures import marks, page
from fmrw.figures.chart import NotebookChart
from fmrw.text import visible

if TYPE_CHECKING:
    from fmrw.explorer.canvas import Canvas
    from fmrw.figures.page import About
    from fmrw.figures.theme import Look


def chart(canvas: Canvas, about: About, description: str) -> alt.LayerChart:
    """Make the chart of a canvas.

    Parameters
    ----------
    canvas
        What is drawn.
    about
        Facts for the metadata of files.
    description
        One sentence, for screen readers and as a title.
    """
    look = canvas.look
    drawn = NotebookChart(layer=[_rects(canvas), _lines(canvas), _texts(canvas)]).properties(
        width=look.width,
        height=look.height,
        padding=0,
        autosize={"type": "none"},
        description=visible(description),
        usermeta={"fmrw": about.metadata()},
    )
    finished: alt.LayerChart = drawn.configure(**page.config(look), aria=False)
    return finished


def _positions(look: Look) -> dict[str, Any]:
    def scale(end: float, *, down: bool) -> alt.Scale:
        return alt.Scale(domain=[0, end], nice=False, zero=False, reverse=down)

    return {
        "x": alt.X("x:Q", scale=scale(look.width, down=False), axis=None),
        "y": alt.Y("y:Q", scale=scale(look.height, down=True), axis=None),
    }


def _colour(canvas: Canvas) -> Any:  # noqa: ANN401 - altair's channel
    scale = alt.Scale(domain=list(canvas.colours), range=list(canvas.colours.values()))
    return alt.Color("k:N", scale=scale, legend=None)


def _data(canvas: Canvas, name: str) -> Any:  # noqa: ANN401 - altair's data is Any
    return {"name": name, **marks.inline(canvas.datasets[name])}


def _rects(canvas: Canvas) -> alt.Chart:
    drawn: alt.Chart = (
        alt.Chart(_data(canvas, "rects"))
        .mark_rect(tooltip=None)
        .encode(**_positions(canvas.look), x2="X:Q", y2="Y:Q", color=_colour(canvas))
    )
    return drawn


def _lines(canvas: Canvas) -> alt.Chart:
    drawn: alt.Chart = (
        alt.Chart(_data(canvas, "lines"))
        .mark_rule(tooltip=None, strokeCap="square", strokeWidth=alt.expr("datum.w"))
        .encode(**_positions(canvas.look), x2="X:Q", y2="Y:Q", color=_colour(canvas))
    )
    return drawn


def _texts(canvas: Canvas) -> alt.Chart:
    style: dict[str, Any] = {
        "fontSize": alt.expr("datum.s"),
        "align": alt.expr("datum.a"),
        "fontWeight": alt.expr("datum.b"),
    }
    drawn: alt.Chart = (
        alt.Chart(_data(canvas, "texts"))
        .mark_text(tooltip=None, baseline="alphabetic", **style)
        .encode(**_positions(canvas.look), text="t:N", color=_colour(canvas))
    )
    return drawn
