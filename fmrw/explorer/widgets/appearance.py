"""Look panel: by what bytes are coloured, the grid, the scale of colours, the theme, the time axis, and the tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer import offered
from fmrw.explorer.state import OVERLAYS
from fmrw.explorer.timeaxis import AXES
from fmrw.explorer.widgets.controls import bind
from fmrw.figures.grid import LAYOUTS

if TYPE_CHECKING:
    from fmrw.explorer.view import View

_CHOICES = (  # trait, label, values
    ("time_axis", "time by", AXES),
    ("layout", "grid", LAYOUTS),
    ("side", "cells", (16, 32, 64, 128)),
    ("scale", "scale", ("log", "linear")),
    ("theme", "theme", ("light", "dark")),
)


def appearance_panel(view: View) -> w.Widget:
    """Make what changes the picture and not what it shows."""
    rows = w.Layout(flex_flow="row wrap")
    colours = ("colour", "colour by", offered.colours(view.recorded))
    choices = [_choice(view, *each) for each in (colours, *_CHOICES)]
    return w.VBox([w.HBox(choices, layout=rows), w.HBox([w.Label("tracks"), *_overlays(view)], layout=rows)])


def _choice(view: View, trait: str, label: str, values: Any) -> w.Dropdown:  # noqa: ANN401 - of any type
    widget = w.Dropdown(
        options=list(values),
        description=label,
        layout=w.Layout(width="175px"),
        style={"description_width": "62px"},
    )
    bind(view, widget, trait, lambda value: value, lambda value: value)
    return widget


def _overlays(view: View) -> list[w.Checkbox]:
    return [_overlay(view, name) for name in offered.overlays(view.recorded)]


def _overlay(view: View, name: str) -> w.Checkbox:
    box = w.Checkbox(description=name, indent=False, layout=w.Layout(width="auto"))

    def chosen(checked: bool) -> tuple[str, ...]:  # noqa: FBT001 - a widget's value
        return tuple(each for each in OVERLAYS if (checked if each == name else each in view.overlays))

    bind(view, box, "overlays", chosen, lambda shown: name in shown)
    return box
