"""Toolbar: buttons that move the window, and the box that goes to an offset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.widgets.controls import button

if TYPE_CHECKING:
    from fmrw.explorer.view import View


def toolbar(view: View) -> w.HBox:
    """Make the buttons that move the window, and the box to go to an offset."""
    buttons = [
        button(view, "", "arrow-left", "Back to what was shown before (Backspace)", view.back),
        button(view, "", "arrow-right", "Forward again", view.forward),
        button(view, "whole", "arrows-h", "The whole file (0)", view.whole),
        button(view, "", "search-plus", "Zoom in (+, or click)", lambda: view.zoom(0.5)),
        button(view, "", "search-minus", "Zoom out (-, or double click)", lambda: view.zoom(2)),
        button(
            view, "previous gap", "step-backward", "The gap before (p)", lambda: jump(view, "previous_gap")
        ),
        button(
            view,
            "next gap",
            "step-forward",
            "The next range that nothing read (n)",
            lambda: jump(view, "next_gap"),
        ),
        button(
            view,
            "next extent",
            "fast-forward",
            "The next range that was touched (e)",
            lambda: jump(view, "next_extent"),
        ),
    ]
    place = w.Text(
        placeholder="go to 0x1c0, 448, 12 KiB, 75 %, 0x0-0x200",
        continuous_update=False,
        layout=w.Layout(width="270px"),
        tooltip="An offset, or a range",
    )

    def go(change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if change["new"].strip():
            view.attempt(lambda: view.go_to(change["new"]))
            place.value = ""

    place.observe(go, "value")
    return w.HBox([*buttons, place], layout=w.Layout(flex_flow="row wrap"))


def jump(view: View, way: str) -> None:
    """Go to a gap or an extent, or say that there is none."""
    if not getattr(view, way)():
        view.hover = f"no {way.replace('_', ' ')}"
