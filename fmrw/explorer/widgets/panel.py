"""Panel: all widgets of one view; toolbar, menus, chart, bytes, and two lines below that say what lies under the pointer.

Widgets set traits of the view and show them; nothing is decided here. Every callback runs through `View.attempt`, so that an
error is seen below the chart. Text from recordings is escaped, or goes through widgets that show text as text. The two lines keep their height,
and the bytes scroll in a place of their own: nothing moves while the pointer does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.markup import escaped
from fmrw.explorer.shortcuts import HINT, MENUS, PLAY
from fmrw.explorer.widgets.hex import HexView
from fmrw.explorer.widgets.live_chart import LiveChart
from fmrw.explorer.widgets.menus import Menus
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

    Parameters
    ----------
    view
        What is shown.
    chart
        One that is in the browser already; else one is made.

    Attributes
    ----------
    figure : LiveChart
        The chart.
    menus : Menus
        The panels that the toolbar opens.
    """

    def __init__(self, view: View, chart: LiveChart | None = None) -> None:
        self.view = view
        self.menus = Menus(view)
        self.menus.place.add_class("fmrw-menu")
        self.figure = chart or LiveChart(view.scene.canvas)
        self._draw(view.scene)
        self.figure.observe(lambda change: view.gestures.take(change["new"]), "gesture")
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

    def show(self, scene: Scene) -> None:
        """Show another picture."""
        self._draw(scene)
        self.look_again()

    def _draw(self, scene: Scene) -> None:
        self.view.gestures.drawn(scene)
        self.figure.show(scene.canvas)

    def look_again(self) -> None:
        """Show the bytes as they are now."""
        self.bytes.refresh()

    def close(self) -> None:
        """Take the widgets away."""
        for widget in (self.figure, self.bytes, self.page, self.box):
            widget.close()
