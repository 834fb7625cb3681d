"""Chart: the one altair chart of a live view; the marks of a canvas, which the kernel replaces.

    kernel: Canvas of rows ──_py_to_js_updates──▶ datasets `rects`, `lines`, `texts` of the running view
    browser: `gesture` = {born, hover, drag, click, out, wheel} ──_params──▶ kernel

A zoom replaces these three datasets; the chart itself is embedded once. Positions are points of the page, so that offsets up to
2⁶³ stay exact in the kernel, where JavaScript has 53 bits. Gestures are Vega signals, added by a JSON patch to what Vega-Lite
compiled, since Vega-Lite knows no wheel and no double click apart from selections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from fmrw.figures import marks, page
from fmrw.figures.chart import NotebookChart
from fmrw.text import visible

if TYPE_CHECKING:
    from fmrw.explorer.canvas import Canvas, Row
    from fmrw.figures.page import About
    from fmrw.figures.theme import Look

CLICK = 5
"""Points the pointer may move between press and release for a click."""


def chart(canvas: Canvas, about: About, description: str, *, live: bool = False) -> alt.LayerChart:
    """Make the chart of a canvas.

    Parameters
    ----------
    canvas
        What is drawn at first.
    about
        Facts for the metadata of files.
    description
        One sentence, for screen readers and as a title.
    live
        Whether it reports gestures; needs the options of `embedding`.
    """
    look = canvas.look
    layers = [_rects(canvas), _lines(canvas), _texts(canvas)]
    drawn = NotebookChart(layer=[*layers, *([_band(canvas)] if live else [])]).properties(
        width=look.width,
        height=look.height,
        padding=0,
        autosize={"type": "none"},
        description=visible(description),
        usermeta={"fmrw": about.metadata()},
    )
    if live:
        drawn = drawn.add_params(alt.param(name="gesture", expr=_GESTURE))
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


# Gestures

_GESTURE = (
    "{born: fmrwBorn, hover: fmrwHover, drag: fmrwDrag, click: fmrwClick, out: fmrwOut, wheel: fmrwWheel}"
)
_MOVED = "(abs(x() - fmrwPress[0]) + abs(y() - fmrwPress[1]))"
_HELD = "[pointerdown, window:pointerup] > window:pointermove"
_CLICK_MS = 220  # a click waits that long for a second one
_SIGNALS: tuple[Row, ...] = (
    {"name": "fmrwBorn", "init": "now()"},
    {"name": "fmrwPress", "value": [-9, -9], "on": [{"events": "pointerdown", "update": "xy()"}]},
    {
        "name": "fmrwDrag",  # before fmrwHeld, which the same release of the pointer resets
        "value": None,
        "on": [
            {
                "events": "window:pointerup",
                "update": f"fmrwHeld && {_MOVED} > {CLICK} ? {{at: now(), from: fmrwPress, to: xy()}} : fmrwDrag",
            }
        ],
    },
    {
        "name": "fmrwHeld",
        "value": False,
        "on": [
            {"events": "pointerdown", "update": "true"},
            {"events": "window:pointerup", "update": "false"},
        ],
    },
    {
        "name": "fmrwPull",
        "value": [-9, -9],
        "on": [{"events": "pointerdown", "update": "xy()"}, {"events": _HELD, "update": "xy()"}],
    },
    {
        "name": "fmrwClick",
        "value": None,
        "on": [
            {
                "events": {"type": "click", "debounce": _CLICK_MS},
                "update": f"event.detail < 2 && {_MOVED} <= {CLICK} ? {{at: now(), to: xy()}} : fmrwClick",
            }
        ],
    },
    {"name": "fmrwOut", "value": None, "on": [{"events": "dblclick", "update": "{at: now(), to: xy()}"}]},
    {
        "name": "fmrwWheel",
        "value": {"to": [0, 0], "sum": 0},
        "on": [
            {
                "events": {"type": "wheel", "filter": "event.ctrlKey", "consume": True},
                "update": "{to: xy(), sum: fmrwWheel.sum + (event.deltaY > 0 ? 1 : event.deltaY < 0 ? -1 : 0)}",
            }
        ],
    },
    {
        "name": "fmrwHover",
        "value": None,
        "on": [{"events": {"type": "pointermove", "debounce": 40}, "update": "xy()"}],
    },
)


def embedding() -> dict[str, Any]:
    """Give the options with which a live chart is embedded: canvas, no menu, and the signals of gestures."""
    patch: list[Row] = [{"op": "add", "path": "/signals/-", "value": signal} for signal in _SIGNALS]
    for number, side in enumerate(
        ("width", "height")
    ):  # the scales x and y, so that a page of another size needs no new chart
        domain = {"signal": f"[0, {side}]"}
        patch.append({"op": "replace", "path": f"/scales/{number}/domain", "value": domain})
    return {"actions": False, "renderer": "canvas", "patch": patch}


def _band(canvas: Canvas) -> alt.Chart:
    """Show what is being dragged over, without asking the kernel."""
    accent = canvas.look.palette.accent
    seen = f"fmrwHeld && abs(fmrwPull[0] - fmrwPress[0]) + abs(fmrwPull[1] - fmrwPress[1]) > {CLICK} ? "
    style: dict[str, Any] = {
        "x": alt.expr("fmrwPress[0]"),
        "x2": alt.expr("fmrwPull[0]"),
        "y": alt.expr("min(fmrwPress[1], fmrwPull[1]) - 3"),
        "y2": alt.expr("max(fmrwPress[1], fmrwPull[1]) + 3"),
        "opacity": alt.expr(f"{seen} 0.25 : 0"),
    }
    drawn: alt.Chart = alt.Chart({"values": [{}]}).mark_rect(
        fill=accent, stroke=accent, tooltip=None, **style
    )
    return drawn
