"""Vega: the specification of a live chart, as plain JSON; the marks of a canvas, which the kernel replaces.

    kernel: Canvas of rows ──marks──▶ data sets `rects`, `lines`, `texts` of the running chart
    browser: `gesture` = {born, hover, drag, click, out, wheel} ──▶ kernel

A step replaces the rows, and the colours where the theme changes; the chart itself is made once. Positions are points of the page, so that
offsets up to 2⁶³ stay exact in the kernel, where JavaScript has 53 bits. Fields are the places in a row (`canvas`). It is Vega, which
altair draws with, and not altair: a kernel takes a second to import that, and a browser 0.1 s to compile Vega-Lite. `chart` makes
the altair chart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.explorer.canvas import DATASETS

if TYPE_CHECKING:
    from fmrw.figures.theme import Look

CLICK = 5
"""Points the pointer may move between press and release for a click."""

Json = dict[str, Any]


def specification(look: Look, description: str) -> Json:
    """Give the Vega of a chart without rows; `Canvas.message` has the values of its signals and data sets.

    Parameters
    ----------
    look
        Its fonts are used.
    description
        One sentence, for screen readers.
    """
    return {
        "$schema": "https://vega.github.io/schema/vega/v6.json",
        "description": description,
        "padding": 0,
        "autosize": "none",
        "background": {"signal": "paper"},
        "signals": [*_GIVEN, *_POINTER],
        "data": [{"name": name} for name in DATASETS],
        "scales": [{"name": "colour", "type": "ordinal", "domain": {"signal": "keys"}, "range": {"signal": "colours"}}],
        "marks": [_rects(), _lines(), _texts(look), _band()],
    }  # fmt: skip


def _fields(**channels: int) -> Json:
    return {name: {"field": str(place)} for name, place in channels.items()}


def _colour(place: int) -> Json:
    return {"scale": "colour", "field": str(place)}


def _mark(kind: str, name: str, **channels: Any) -> Json:  # noqa: ANN401 - JSON
    return {"type": kind, "from": {"data": name}, "interactive": False, "encode": {"update": channels}}


def _rects() -> Json:
    return _mark("rect", "rects", **_fields(x=0, y=1, x2=2, y2=3), fill=_colour(4))


def _lines() -> Json:
    edges = _fields(x=0, y=1, x2=2, y2=3, strokeWidth=5)
    return _mark("rule", "lines", **edges, stroke=_colour(4), strokeCap={"value": "square"})


def _texts(look: Look) -> Json:
    places = _fields(x=0, y=1, text=2, fontSize=4, align=5, fontWeight=6)
    return _mark("text", "texts", **places, fill=_colour(3), font={"value": look.fonts})


def _band() -> Json:
    """Show what is being dragged over, without asking the kernel."""
    far = f"abs(fmrwPull[0] - fmrwPress[0]) + abs(fmrwPull[1] - fmrwPress[1]) > {CLICK}"
    channels = {
        "x": "fmrwPress[0]",
        "x2": "fmrwPull[0]",
        "y": "min(fmrwPress[1], fmrwPull[1]) - 3",
        "y2": "max(fmrwPress[1], fmrwPull[1]) + 3",
        "opacity": f"fmrwHeld && {far} ? 0.25 : 0",
        "fill": "accent",
        "stroke": "accent",
    }
    encoded = {name: {"signal": expression} for name, expression in channels.items()}
    return {"type": "rect", "interactive": False, "encode": {"update": encoded}}


_GIVEN: tuple[Json, ...] = (
    {"name": "width", "value": 1},
    {"name": "height", "value": 1},
    {"name": "paper", "value": "transparent"},
    {"name": "accent", "value": "transparent"},
    {"name": "stands", "value": ""},
    {"name": "keys", "value": [""]},
    {"name": "colours", "value": ["transparent"]},
)

_MOVED = "(abs(x() - fmrwPress[0]) + abs(y() - fmrwPress[1]))"
_HELD = "[pointerdown, window:pointerup] > window:pointermove"
_CLICK_MS = 220  # a click waits that long for a second one
_POINTER: tuple[Json, ...] = (
    {"name": "fmrwBorn", "init": "now()"},
    {"name": "fmrwPressed", "value": 0, "on": [{"events": "pointerdown", "update": "event.timeStamp"}]},
    {
        "name": "fmrwOn",
        "value": "",
        "on": [{"events": "pointerdown", "update": "stands"}],
    },  # the picture that was aimed at
    {"name": "fmrwPress", "value": [-9, -9], "on": [{"events": "pointerdown", "update": "xy()"}]},
    {
        "name": "fmrwDrag",  # this and the next before fmrwHeld, which the same release of the pointer resets
        "value": None,
        "on": [
            {
                "events": "window:pointerup",
                "update": f"fmrwHeld && {_MOVED} > {CLICK} ? {{at: now(), on: fmrwOn, from: fmrwPress, to: xy()}} : fmrwDrag",
            }
        ],
    },
    {
        "name": "fmrwHover",
        "value": None,
        "on": [
            {  # nobody asks what lay where the pointer was before it was pressed, and the answer looks at every access
                "events": {"type": "pointermove", "filter": "!event.buttons", "debounce": 40},
                "update": "event.timeStamp < fmrwPressed ? fmrwHover : xy()",
            },
            {"events": "window:pointerup", "update": "fmrwHeld ? xy() : fmrwHover"},
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
                "update": f"event.detail < 2 && {_MOVED} <= {CLICK} ? {{at: now(), on: fmrwOn, to: xy()}} : fmrwClick",
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
        "name": "gesture",
        "update": "{born: fmrwBorn, hover: fmrwHover, drag: fmrwDrag, click: fmrwClick, out: fmrwOut, wheel: fmrwWheel}",
    },
)
