"""Gestures: what the pointer does over the chart changes the window.

    drag over the overview or the tracks, or across cells   show that range
    click                                                   zoom in there, four times
    double click                                            zoom out, four times
    Ctrl and wheel                                          zoom around the pointer; the wheel alone scrolls the page
    hover                                                   say what lies there, once the picture is on its way

The browser sends one value with all gestures in it, each with the time it was made, so that none is lost when two happen between
messages, and none is obeyed twice. A drag or a click means the picture that was on the screen when the pointer was pressed, also where
the kernel has drawn another by the time it hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from fmrw.explorer.later import Later

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmrw.explorer.layout import PanelLayout, Spot, Window
    from fmrw.explorer.scene import Scene

_CLICK, _WHEEL = 4.0, 1.25
_LARGEST_WHEEL = 24  # notches taken at once
_KEPT = 32  # pictures that may still be on a screen


class Navigable(Protocol):
    """What gestures act upon; `view.View` is one."""

    scene: Scene
    window: tuple[int, int]
    hover: str

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something, showing what goes wrong."""

    def zoom(self, factor: float, at: int | None = None, window: Window | None = None) -> None:
        """Show `factor` times as many bytes as a window does, or as are shown."""

    def tell(self, spot: Spot) -> str:
        """Say what is known of some bytes."""


class Gestures:
    """Reads the messages of one view; several browsers may show it."""

    def __init__(self, view: Navigable) -> None:
        self._view = view
        self._last = {"drag": 0.0, "click": 0.0, "out": 0.0}
        self._wheels: dict[float, float] = {}
        self._later = Later()
        self._drawn: dict[str, PanelLayout] = {}

    def drawn(self, scene: Scene) -> None:
        """Remember a picture that is on its way to the screen."""
        layout = scene.layout
        self._drawn.pop(layout.key, None)
        self._drawn[layout.key] = layout
        if len(self._drawn) > _KEPT:
            del self._drawn[next(iter(self._drawn))]

    def _aimed(self, made: Mapping[str, Any]) -> PanelLayout:
        """Give the layout of the picture a gesture was made on."""
        return self._drawn.get(str(made.get("on")), self._view.scene.layout)

    def take(self, message: object) -> None:
        """Obey a message."""
        if not isinstance(message, dict):
            return
        for name, act in (("drag", self._drag), ("click", self._click), ("out", self._out)):
            made = message.get(name)
            if isinstance(made, dict) and _number(made.get("at")) > self._last[name]:
                self._last[name] = _number(made["at"])
                self._view.attempt(lambda act=act, made=made: act(made))  # type: ignore[misc] # bound now
        self._wheel(message.get("wheel"), _number(message.get("born")))
        self._hover(message.get("hover"))

    def _drag(self, made: Mapping[str, Any]) -> None:
        found = self._aimed(made).dragged(*_point(made["from"]), *_point(made["to"]))
        if found is not None:
            self._view.window = found

    def _click(self, made: Mapping[str, Any]) -> None:
        layout = self._aimed(made)
        at = layout.spot(*_point(made["to"]))
        if at is None:
            return
        if at.panel == "overview" and not layout.window[0] <= at.start < layout.window[1]:
            length, middle = layout.length, (at.start + at.end) // 2
            first = min(max(middle - length // 2, 0), layout.size - length)
            self._view.window = (first, first + length)
        else:
            self._view.zoom(1 / _CLICK, (at.start + at.end) // 2, layout.window)

    def _out(self, made: Mapping[str, Any]) -> None:
        x, y = _point(made["to"])
        layout = self._view.scene.layout
        if layout.panel(x, y) == "overview":
            self._view.window = (0, layout.size)
        else:
            self._view.zoom(_CLICK, layout.offset(x, y))

    def _wheel(self, made: object, born: float) -> None:
        if not isinstance(made, dict):
            return
        total = _number(made.get("sum"))
        turned = total - self._wheels.get(born, 0.0)
        self._wheels[born] = total
        at = self._view.scene.layout.offset(*_point(made.get("to")))
        if turned and at is not None:
            factor = _WHEEL ** max(-_LARGEST_WHEEL, min(turned, _LARGEST_WHEEL))
            self._view.attempt(lambda: self._view.zoom(factor, at))

    def _hover(self, made: object) -> None:
        spot = self._view.scene.layout.spot(*_point(made)) if made else None
        if spot is None:
            self._later.drop()
            self._view.hover = ""
        else:
            self._later.do(lambda: self._told(spot))

    def _told(self, spot: Spot) -> None:
        self._view.hover = self._view.tell(spot)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _point(value: object) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:  # noqa: PLR2004 - x and y
        return -1.0, -1.0
    return _number(value[0]), _number(value[1])
