"""Filter panel: choose processes, threads, handles, operations and the time that is shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.widgets.controls import bind
from fmrw.explorer.widgets.playback import playback_controls
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.explorer.view import View

_MOST_LISTED = 500  # threads or handles offered


def filter_panel(view: View) -> w.Widget:
    """Make the filters: who, what, when."""
    lists = Lists(view)
    ops = w.ToggleButtons(options=["both", "read", "write"], style={"button_width": "60px"})
    bind(view, ops, "ops", str, str)
    everything = w.Button(description="show everything", icon="undo")
    everything.on_click(lambda _: view.attempt(lambda: clear(view)))
    row = w.HBox(list(lists.lists.values()), layout=w.Layout(flex_flow="row wrap"))
    hint = w.Label("none chosen: all are shown; Ctrl and click: several")
    return w.VBox([w.HBox([ops, everything, hint]), row, playback_controls(view)])


def clear(view: View) -> None:
    """Take all filters away."""
    view.processes = view.threads = view.handles = view.time_window = None
    view.ops = "both"


class Lists:
    """Lists of the processes, threads and handles seen; none chosen means all."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._filling = False
        self.lists = {name: self._list(name) for name in ("processes", "threads", "handles")}
        self.fill()
        for trait, widget in self.lists.items():
            bind(view, widget, trait, partial(self._read, trait), partial(self._write, trait))
        view.observe(lambda _: view.attempt(self.fill), "seen")

    @staticmethod
    def _list(name: str) -> w.SelectMultiple:
        style = {"description_width": "65px"}
        return w.SelectMultiple(rows=5, layout=w.Layout(width="230px"), description=name, style=style)

    def fill(self) -> None:
        """Offer what was seen up to now; what is chosen stays chosen."""
        recorded = self.view.recorded
        pairs = [(f"{visible(name)} [{pid}]", (pid, name)) for pid, name in recorded.processes]
        self._offer("processes", pairs)
        for trait, column in (("threads", "tid"), ("handles", "handle")):
            found = recorded.rows[column].unique().sort().head(_MOST_LISTED).to_list()
            self._offer(trait, [(str(number), number) for number in found])

    def _offer(self, trait: str, options: list[tuple[str, Any]]) -> None:
        widget = self.lists[trait]
        if tuple(options) == tuple(widget.options):
            return
        self._filling = True  # new options clear the choice, which is nobody's wish
        try:
            widget.options = options
            widget.value = self._write(trait, getattr(self.view, trait))
        finally:
            self._filling = False

    def _read(self, trait: str, value: tuple[Any, ...]) -> Any:  # noqa: ANN401 - a trait's value
        return getattr(self.view, trait) if self._filling else tuple(value) or None

    def _write(self, trait: str, value: Sequence[Any] | None) -> tuple[Any, ...]:
        if trait == "processes":
            value = self.view.recorded.pairs(value)
        offered = {option for _, option in self.lists[trait].options}
        return tuple(each for each in value or () if each in offered)
