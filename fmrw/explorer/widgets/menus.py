"""Menus: the panels below the toolbar; one is open at a time, none at first, and its button or key shuts it again.

A menu is a function that makes its widgets when it is first opened, so that a notebook that only looks pays for none.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types
from ipywidgets.widgets.widget_bool import ToggleButtonStyle  # type: ignore[import-untyped] # as above

from fmrw.explorer.shortcuts import MENUS, PLAY, listed
from fmrw.explorer.widgets.annotations import annotation_panel
from fmrw.explorer.widgets.appearance import appearance_panel
from fmrw.explorer.widgets.compare import compare_panel
from fmrw.explorer.widgets.controls import narrow, tooltip
from fmrw.explorer.widgets.export import export_panel
from fmrw.explorer.widgets.filters import filter_panel
from fmrw.explorer.widgets.playback import playback_controls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmrw.explorer.view import View


def help_panel(_view: View) -> w.HTML:
    """List all keys and gestures."""
    rows = "".join(f"<div><kbd>{escape(key)}</kbd> {escape(told)}</div>" for key, told in listed())
    return w.HTML(f"<div class='fmrw-help'>{rows}</div>")


PANELS: Mapping[str, tuple[str, str, Callable[[View], w.Widget]]] = {
    "filter": ("filter", "show some programs, operations, a part of the time", filter_panel),
    "compare": ("columns", "what only one program reads, what all, what nobody", compare_panel),
    "play": ("play", "play the accesses in their order", playback_controls),
    "mark": ("bookmark", "name the window, and go to what is named", annotation_panel),
    "export": ("download", "write what is shown to a file", export_panel),
    "look": ("paint-brush", "colours, grid, tracks, time axis", appearance_panel),
    "help": ("question", "list the keys", help_panel),
}
"""Name → icon, what it is for, and what makes it."""

_KEYS = {name: key for key, name in MENUS.items()} | {"play": PLAY}


class Menus:
    """The buttons of the menus, and the place where the open one stands.

    Attributes
    ----------
    buttons : dict of str to ToggleButton
        By name.
    place : VBox
        Holds the open menu.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._made: dict[str, w.Widget] = {}
        shared = {"layout": narrow(), "style": ToggleButtonStyle()}  # as in the toolbar
        self.buttons = {name: self._button(name, **shared) for name in PANELS}
        self.place = w.VBox([])
        for each in self.buttons.values():
            each.observe(self._turned, "value")

    @staticmethod
    def _button(name: str, **shared: w.Widget) -> w.ToggleButton:
        icon, told, _ = PANELS[name]
        label = "" if name == "help" else name
        return w.ToggleButton(description=label, icon=icon, tooltip=tooltip(told, _KEYS[name]), **shared)

    def toggle(self, name: str) -> None:
        """Open a menu, or shut it; "" shuts whichever is open."""
        for each, button in self.buttons.items():
            button.value = each == name and not button.value

    @property
    def opened(self) -> str:
        """The menu that is open, or ""."""
        return next((name for name, button in self.buttons.items() if button.value), "")

    def _turned(self, change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if change["new"]:
            for each in self.buttons.values():
                each.value = each is change["owner"]
        name = self.opened
        self.place.children = [self._panel(name)] if name else []
        if name == "filter":
            self._view.prepare()

    def _panel(self, name: str) -> w.Widget:
        if name not in self._made:
            self._made[name] = PANELS[name][2](self._view)
        return self._made[name]
