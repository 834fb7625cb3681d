"""Tabs: the panels below the chart; one is open at a time, none at first, and its button shuts it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.widgets.annotations import annotation_panel
from fmrw.explorer.widgets.appearance import appearance_panel
from fmrw.explorer.widgets.export import export_panel
from fmrw.explorer.widgets.filters import filter_panel

if TYPE_CHECKING:
    from fmrw.explorer.view import View

_TOOLTIPS = {
    "filter": "Who, and when",
    "look": "Layout, colours, overlays",
    "mark": "Name the window, and go to what is named",
    "export": "Write what is shown to a file",
}


def tabs(view: View) -> w.VBox:
    """Make the tabs; their buttons open and shut them."""
    made = {
        "filter": filter_panel(view),
        "look": appearance_panel(view),
        "mark": annotation_panel(view),
        "export": export_panel(view),
    }
    icons = {"filter": "filter", "look": "paint-brush", "mark": "bookmark", "export": "download"}
    buttons = {
        name: w.ToggleButton(
            description=name, icon=icons[name], tooltip=_TOOLTIPS[name], layout=w.Layout(width="90px")
        )
        for name in made
    }
    place = w.VBox([])

    def turned(change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if change["new"]:
            for each in buttons.values():
                each.value = each is change["owner"]
        place.children = [made[name] for name, each in buttons.items() if each.value]
        if buttons["filter"].value:
            view.prepare()

    for each in buttons.values():
        each.observe(turned, "value")
    return w.VBox([w.HBox([*buttons.values()]), place])
