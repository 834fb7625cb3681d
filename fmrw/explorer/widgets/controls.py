"""Controls: what the panels are made of; buttons whose errors are shown, and widgets that follow a trait of the view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.shortcuts import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.explorer.view import View


def bind(
    view: View,
    widget: Any,  # noqa: ANN401 - any widget with a value
    trait: str,
    read: Callable[[Any], Any],
    write: Callable[[Any], Any],
) -> None:
    """Let a widget and a trait follow each other.

    Parameters
    ----------
    read, write
        From the widget's value to the trait's, and back.
    """

    def wrote(change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        view.attempt(lambda: setattr(view, trait, read(change["new"])))

    def shown(change: Any) -> None:  # noqa: ANN401 - as above
        value = write(change["new"])
        if widget.value != value:
            widget.value = value

    widget.value = write(getattr(view, trait))
    widget.observe(wrote, "value")
    view.observe(shown, trait)


def button(
    view: View, label: str, icon: str, tooltip: str, act: Callable[[], object], **shared: w.Widget
) -> w.Button:
    """Make a button whose errors are shown; `shared` are its layout and style, if others have the same."""
    made = w.Button(description=label, icon=icon, tooltip=tooltip, **(shared or {"layout": narrow()}))
    made.on_click(lambda _: view.attempt(act))
    return made


def narrow() -> w.Layout:
    """Make the layout of a button that is as wide as its label."""
    return w.Layout(width="auto")


def tooltip(told: str, key: str) -> str:
    """Say what a button does, and which key does the same."""
    return f"{told[0].upper()}{told[1:]} ({shown(key)})"
