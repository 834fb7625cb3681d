"""Panel: all widgets of one view; toolbar, menus, chart, bytes, and two lines below that say what lies under the pointer.

Widgets set traits of the view and show them; nothing is decided here. Every callback runs through `View.attempt`, so that an
error is seen below the chart. Text from recordings is escaped, or goes through widgets that show text as text. The two lines keep their height,
and the bytes scroll in a place of their own: nothing moves while the pointer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer import chart
from fmrw.explorer.markup import escaped
from fmrw.explorer.shortcuts import HINT, MENUS, PLAY
from fmrw.explorer.widgets.hex import HexView
from fmrw.explorer.widgets.menus import Menus
from fmrw.explorer.widgets.offline import chart_class
from fmrw.explorer.widgets.page_events import INSIDE, PageEvents
from fmrw.explorer.widgets.toolbar import toolbar

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.explorer.scene import Scene
    from fmrw.explorer.view import View

NARROWEST, WIDEST = 320, 1400
BESIDE = 1440
"""Pixels of room from which on the bytes stand beside the chart."""

BYTES_WIDTH = 590
_EDGE = 12  # pixels left beside the chart


class Panel:
    """The widgets of one view; `box` holds them all.

    Attributes
    ----------
    figure : JupyterChart
        The chart.
    menus : Menus
        The panels that the toolbar opens.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._theme = view.theme
        self.menus = Menus(view)
        self.menus.place.add_class("fmrw-menu")
        self.figure = self._figure(view.scene)
        self._updates: list[dict[str, Any]] = view.scene.canvas.updates(0)
        self.bytes = HexView(view)
        self.main = w.HBox([self.figure, self.bytes])
        self.main.add_class("fmrw-main")
        self.status = w.HTML()
        self.status.add_class("fmrw-status")
        self.page = PageEvents()
        self._link()
        parts = [toolbar(view, self.menus), self.menus.place, self.main, self.status, self.page]
        self.box = w.VBox(parts, layout=w.Layout(width="100%"))
        self.box.add_class(INSIDE)

    def _figure(self, scene: Scene) -> Any:  # noqa: ANN401 - a `JupyterChart`
        drawn = chart.chart(scene.canvas, self.view.recorded.about(), "explorer", live=True)
        figure = chart_class()(drawn, embed_options=chart.embedding())
        figure.observe(self._gestured, "_params")
        return figure

    def _embed(self, scene: Scene) -> None:
        """Put another chart in place of this one, since other colours need other scales."""
        self._theme, before = self.view.theme, self.figure
        self.figure = self._figure(scene)
        self.main.children = [self.figure if child is before else child for child in self.main.children]
        before.close()

    def _link(self) -> None:
        self.view.observe(lambda _: self._say(), ["hover", "problem"])
        acts: dict[str, Callable[[Any], object]] = {
            "pressed": lambda new: self.press(str(new.get("key"))),
            "width": self._fit,
            "theme": self.view.follow_theme,
        }
        for trait, act in acts.items():
            self.page.observe(lambda change, act=act: self.view.attempt(lambda: act(change["new"])), trait)
        self._say()

    def press(self, key: str) -> None:
        """Do what a key stands for."""
        if key in MENUS:
            self.menus.toggle(MENUS[key])
        elif key == PLAY:
            self.view.playback.playing = not self.view.playback.playing
        else:
            self.view.press(key)

    def _fit(self, room: int) -> None:
        """Draw as wide as there is room, within reason; the bytes stand beside the chart where both have room."""
        beside = room >= BESIDE
        self.view.width = min(max(room - _EDGE - beside * BYTES_WIDTH, NARROWEST), WIDEST)
        self.bytes.layout.width = f"{BYTES_WIDTH}px" if beside else "100%"
        self.bytes.layout.height = f"{self.view.look.height:g}px" if beside else ""

    def _say(self) -> None:
        """Write what is wrong, else what lies under the pointer, else what can be done, in colours of the page's own theme."""
        problem = self.view.problem
        colour = "var(--jp-error-color1, #b3005e)" if problem else "var(--jp-ui-font-color2, #626b76)"
        text = escaped(problem or self.view.hover or HINT)
        self.status.value = f"<div role='status' style='color:{colour}' title=\"{text}\">{text}</div>"

    def _gestured(self, change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if self.view.gestures.take((change["new"] or {}).get("gesture")):
            self._send()  # a browser has just made its view, from what was drawn when the cell ran

    def show(self, scene: Scene, number: int) -> None:
        """Show another picture."""
        self._updates = scene.canvas.updates(number)
        if self._theme != self.view.theme:
            self._embed(scene)
        else:
            self._send()
        self.look_again()

    def look_again(self) -> None:
        """Show the bytes as they are now."""
        self.bytes.refresh()

    def _send(self) -> None:
        number = self._updates[-1]["value"] + 0.5 if self.figure._py_to_js_updates == self._updates else None  # noqa: SLF001 - the way altair documents
        if number is not None:
            self._updates = [*self._updates[:-1], {"namespace": "number", "value": number}]
        self.figure._py_to_js_updates = self._updates  # noqa: SLF001 - as above

    def close(self) -> None:
        """Take the widgets away."""
        for widget in (self.figure, self.bytes, self.page, self.box):
            widget.close()
