"""Appearance panel: the grid's layout and side, the scale of colours, the theme, and the overlays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.state import OVERLAYS
from fmrw.explorer.widgets.controls import bind
from fmrw.figures.grid import LAYOUTS

if TYPE_CHECKING:
    from fmrw.explorer.view import View


def appearance_panel(view: View) -> w.Widget:
    """Make what changes the picture and not what it shows."""
    choices = []
    for trait, options in (
        ("layout", list(LAYOUTS)),
        ("side", [16, 32, 64, 128]),
        ("scale", ["log", "linear"]),
        ("theme", ["light", "dark"]),
    ):
        widget = w.Dropdown(
            options=options,
            description=trait,
            layout=w.Layout(width="180px"),
            style={"description_width": "50px"},
        )
        bind(view, widget, trait, lambda value: value, lambda value: value)
        choices.append(widget)
    overlays = w.SelectMultiple(
        options=OVERLAYS, rows=len(OVERLAYS), description="overlays", layout=w.Layout(width="200px")
    )
    bind(view, overlays, "overlays", tuple, tuple)
    return w.HBox([*choices, overlays], layout=w.Layout(flex_flow="row wrap"))
