"""Panel: all widgets of one view; toolbar, chart, line for the pointer, messages, bytes, tabs.

Widgets set traits of the view and show them; nothing is decided here. Every callback runs through `View.attempt`, so that an
error is seen below the chart. Text from recordings is escaped, or goes through widgets that show text as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer import canvas
from fmrw.explorer.hexview import escaped
from fmrw.explorer.shortcuts import HINT, press
from fmrw.explorer.widgets.offline import chart_class
from fmrw.explorer.widgets.page_events import INSIDE, PageEvents
from fmrw.explorer.widgets.tabs import tabs
from fmrw.explorer.widgets.toolbar import toolbar

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.explorer.scene import Scene
    from fmrw.explorer.view import View

NARROWEST, WIDEST = 640, 1400
_EDGE = 12  # pixels left beside the chart


class Panel:
    """The widgets of one view; `box` holds them all.

    Attributes
    ----------
    figure : JupyterChart
        The chart.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._theme = view.theme
        self.figure = self._figure(view.scene)
        self._updates: list[dict[str, Any]] = view.scene.canvas.updates(0)
        self.bytes = w.HTML(view.bytes_html())
        self.hover = w.HTML(layout=w.Layout(min_height="22px"))
        self.problem = w.HTML()
        self.page = PageEvents()
        self._link()
        self.box = w.VBox(
            [toolbar(view), self.figure, self.hover, self.problem, self.bytes, tabs(view), self.page],
            layout=w.Layout(width="100%"),
        )
        self.box.add_class(INSIDE)

    def _figure(self, scene: Scene) -> Any:  # noqa: ANN401 - a `JupyterChart`
        drawn = canvas.chart(scene.canvas, self.view.recorded.about(), "explorer", live=True)
        figure = chart_class()(drawn, embed_options=canvas.embedding())
        figure.observe(self._gestured, "_params")
        return figure

    def _embed(self, scene: Scene) -> None:
        """Put another chart in place of this one, since other colours need other scales."""
        self._theme, before = self.view.theme, self.figure
        self.figure = self._figure(scene)
        self.box.children = [self.figure if child is before else child for child in self.box.children]
        before.close()

    def _link(self) -> None:
        view = self.view
        view.observe(lambda change: self._say(self.hover, change["new"] or HINT), "hover")
        view.observe(lambda change: self._say(self.problem, change["new"], problem=True), "problem")
        acts: dict[str, Callable[[Any], object]] = {
            "pressed": lambda new: press(view, new.get("key")),
            "width": self._fit,
            "theme": view.follow_theme,
        }
        for trait, act in acts.items():
            self.page.observe(lambda change, act=act: view.attempt(lambda: act(change["new"])), trait)
        self._say(self.hover, view.hover or HINT)
        self._say(self.problem, view.problem, problem=True)

    def _fit(self, room: int) -> None:
        """Draw as wide as there is room, within reason."""
        self.view.width = min(max(room - _EDGE, NARROWEST), WIDEST)

    @staticmethod
    def _say(place: w.HTML, text: str, *, problem: bool = False) -> None:
        """Write a line in a colour of the page's own theme, where it has one."""
        colour = "var(--jp-error-color1, #b3005e)" if problem else "var(--jp-ui-font-color2, #626b76)"
        style = (
            f"color:{colour};font:12px/1.4 'DejaVu Sans Mono',Menlo,Consolas,monospace;overflow-wrap:anywhere"
        )
        place.value = f"<div role='status' style=\"{style}\">{escaped(text)}</div>" if text else ""

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
        shown = self.view.bytes_html()
        if shown != self.bytes.value:
            self.bytes.value = shown

    def _send(self) -> None:
        number = self._updates[-1]["value"] + 0.5 if self.figure._py_to_js_updates == self._updates else None  # noqa: SLF001 - the way altair documents
        if number is not None:
            self._updates = [*self._updates[:-1], {"namespace": "number", "value": number}]
        self.figure._py_to_js_updates = self._updates  # noqa: SLF001 - as above

    def close(self) -> None:
        """Take the widgets away."""
        for widget in (self.figure, self.page, self.box):
            widget.close()
