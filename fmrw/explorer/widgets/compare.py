"""Compare panel: choose programs, and see what only one of them touched, what all, and what nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.comparison import compare_with
from fmrw.explorer.widgets.checklist import CheckList
from fmrw.text import visible

if TYPE_CHECKING:
    from fmrw.explorer.view import View

_LEAST = 2
_HINT = "Two or more programs; none: all of them."
_OTHER = "another recording of the file: folder, kept name, RECORDING:PROCESS"


def compare_panel(view: View) -> w.Widget:
    """Make what chooses the programs that are compared, and what ends it."""
    names = CheckList(title="programs")
    on = w.ToggleButton(description="compare", icon="columns", tooltip="Colour bytes by who alone read them")

    def fill(_change: Any = None) -> None:  # noqa: ANN401 - traitlets' Bunch
        commands = view.recorded.commands
        names.options = [
            {"id": name, "label": visible(name), "detail": commands.get(pairs[0][0], "")}
            for name, pairs in view.recorded.programs.items()
        ]

    def chosen(change: Any) -> None:  # noqa: ANN401 - as above
        if len(change["new"]) >= _LEAST:
            view.attempt(lambda: setattr(view, "compare", tuple(change["new"])))
        elif not change["new"]:
            view.compare = None

    def turned(change: Any) -> None:  # noqa: ANN401 - as above
        if change["new"]:
            view.colour = "compare"
        elif view.colour == "compare":
            view.compare, view.colour = None, "count"
            names.chosen = []

    fill()
    view.observe(fill, "seen")
    names.observe(chosen, "chosen")
    on.value = view.colour == "compare"
    on.observe(turned, "value")
    view.observe(lambda change: setattr(on, "value", change["new"] == "compare"), "colour")
    rows = w.Layout(flex_flow="row wrap")
    return w.VBox([w.HBox([on, w.HTML(_HINT), _other(view)], layout=rows), w.HBox([names], layout=rows)])


def _other(view: View) -> w.Text:
    """Make the box that takes another recording into the comparison."""
    place = w.Text(
        placeholder=_OTHER, continuous_update=False, layout=w.Layout(width="auto", flex="1 1 300px")
    )

    def add(change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if change["new"].strip():
            before = view.compare
            view.attempt(lambda: compare_with(view, change["new"].strip()))
            if view.compare != before:
                place.value = ""

    place.observe(add, "value")
    return place
