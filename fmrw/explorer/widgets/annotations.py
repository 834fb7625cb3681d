"""Annotation panel: name the window, list the named ranges, show or remove one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.explorer.view import View


def annotation_panel(view: View) -> w.Widget:
    """Make what names the window, and lists what is named."""
    name = w.Text(placeholder="a name for what is shown", layout=w.Layout(width="260px"))
    add = w.Button(description="mark the window", icon="bookmark")
    known = w.Select(rows=4, layout=w.Layout(width="420px"))
    show = w.Button(description="show", icon="search")
    remove = w.Button(description="remove", icon="trash")

    def listed(_change: Any = None) -> None:  # noqa: ANN401 - traitlets' Bunch
        known.options = [
            (f"{visible(each.name)}  {range_text(*each[:2])}", number)
            for number, each in enumerate(view.annotations)
        ]

    def marked(_: w.Button) -> None:
        view.attempt(lambda: view.annotate(name.value))
        name.value = ""

    def chosen(act: Callable[[int], None]) -> Callable[[w.Button], None]:
        return lambda _: None if known.value is None else view.attempt(lambda: act(known.value))

    def shown(number: int) -> None:
        view.window = view.annotations[number][:2]

    def removed(number: int) -> None:
        view.annotations = tuple(each for at, each in enumerate(view.annotations) if at != number)

    add.on_click(marked)
    show.on_click(chosen(shown))
    remove.on_click(chosen(removed))
    view.observe(listed, "annotations")
    listed()
    return w.VBox([w.HBox([name, add]), w.HBox([known, w.VBox([show, remove])])])
