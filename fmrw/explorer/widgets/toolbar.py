"""Toolbar: one row of buttons on top, which wraps where there is little room; they move the window, and open the menus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.shortcuts import GO, SHORTCUTS
from fmrw.explorer.widgets.controls import button, narrow, tooltip

if TYPE_CHECKING:
    from fmrw.explorer.view import View
    from fmrw.explorer.widgets.menus import Menus

TOOLBAR = "fmrw-toolbar"
"""CSS class of the row."""

_BUTTONS = (  # label, icon, key
    ("", "arrow-left", "Backspace"),
    ("", "arrow-right", "Delete"),
    ("whole", "arrows-h", "0"),
    ("", "search-plus", "+"),
    ("", "search-minus", "-"),
    ("", "step-backward", "p"),
    ("next gap", "step-forward", "n"),
    ("", "fast-backward", "E"),
    ("", "fast-forward", "e"),
)


def toolbar(view: View, menus: Menus) -> w.HBox:
    """Make the buttons that move the window, the box to go to an offset, and the buttons of the menus."""
    shared = {
        "layout": narrow(),
        "style": w.ButtonStyle(),
    }  # each is a message, and something the browser makes
    moves = [_move(view, *each, **shared) for each in _BUTTONS]
    made = w.HBox([*moves, _place(view), *menus.buttons.values()])
    made.add_class(TOOLBAR)
    return made


def _move(view: View, label: str, icon: str, key: str, **shared: w.Widget) -> w.Button:
    return button(view, label, icon, tooltip(SHORTCUTS[key].told, key), lambda: view.press(key), **shared)


def _place(view: View) -> w.Text:
    """Make the box that goes to an offset or a range."""
    place = w.Text(
        placeholder="go to 0x1c0, 12 KiB, 75 %, 0x0-0x200",
        continuous_update=False,
        tooltip=tooltip("go to an offset, or show a range", GO),
        layout=w.Layout(width="auto", flex="1 1 150px", max_width="270px"),
    )

    def go(change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if change["new"].strip():
            view.attempt(lambda: view.go_to(change["new"]))
            place.value = ""

    place.observe(go, "value")
    place.add_class("fmrw-go")
    return place
