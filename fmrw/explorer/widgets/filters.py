"""Filter panel: choose programs, threads, handles, functions and operations; none checked means all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.widgets.checklist import CheckList
from fmrw.explorer.widgets.controls import bind
from fmrw.text import brief, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmrw.explorer.view import View

_MOST_LISTED = 2_000  # threads or handles offered


def filter_panel(view: View) -> w.Widget:
    """Make the filters: who and what."""
    lists = Lists(view)
    ops = w.ToggleButtons(options=["both", "read", "write"], style={"button_width": "60px"})
    bind(view, ops, "ops", str, str)
    everything = w.Button(description="show everything", icon="undo", tooltip="Take all filters away")
    everything.on_click(lambda _: view.attempt(lambda: clear(view)))
    row = w.HBox(list(lists.lists.values()), layout=w.Layout(flex_flow="row wrap", width="100%"))
    hint = w.Label("none checked: all are shown")
    return w.VBox([w.HBox([ops, everything, hint], layout=w.Layout(flex_flow="row wrap")), row])


def clear(view: View) -> None:
    """Take all filters away."""
    view.processes = view.threads = view.handles = view.functions = view.time_window = None
    view.ops = "both"


class Lists:
    """Check lists of the processes, threads and handles seen, and of functions where call sites are recorded."""

    def __init__(self, view: View) -> None:
        self.view = view
        names = ("processes", "threads", "handles", *(["functions"] if view.recorded.has_sites else []))
        self.lists = {name: CheckList(title=name) for name in names}
        self._values: dict[str, dict[str, Any]] = {name: {} for name in self.lists}
        self.fill()
        for trait, widget in self.lists.items():
            widget.observe(lambda change, trait=trait: self._checked(trait, change["new"]), "chosen")
            view.observe(lambda _, trait=trait: self._show(trait), trait)
            self._show(trait)
        view.observe(lambda _: view.attempt(self.fill), ["seen", "last_site"])

    def fill(self) -> None:
        """Offer what was seen up to now; what is chosen stays chosen."""
        recorded = self.view.recorded
        commands = recorded.commands
        self._offer(
            "processes",
            [
                ((pid, name), f"{visible(name)} [{pid}]", commands.get(pid, ""))
                for pid, name in recorded.processes
            ],
        )
        for trait, column in (("threads", "tid"), ("handles", "handle")):
            found = recorded.rows[column].unique().sort().head(_MOST_LISTED).to_list()
            self._offer(trait, [(number, str(number), "") for number in found])
        if "functions" in self.lists:
            asked = recorded.call_sites.functions
            self._offer("functions", [(name, *_function(name, size)) for name, (_, size) in asked.items()])

    def _offer(self, trait: str, offered: Sequence[tuple[Any, str, str]]) -> None:
        self._values[trait] = {str(value): value for value, _, _ in offered}
        options = [{"id": str(value), "label": label, "detail": detail} for value, label, detail in offered]
        if options != self.lists[trait].options:
            self.lists[trait].options = options

    def _checked(self, trait: str, ids: Sequence[str]) -> None:
        known = self._values[trait]
        chosen = tuple(known[each] for each in ids if each in known)
        self.view.attempt(lambda: setattr(self.view, trait, chosen or None))

    def _show(self, trait: str) -> None:
        value = getattr(self.view, trait)
        if trait == "processes":
            value = self.view.recorded.pairs(value)
        ids = [str(each) for each in value or () if str(each) in self._values[trait]]
        if set(ids) != set(self.lists[trait].chosen):
            self.lists[trait].chosen = ids


def _function(name: str, size: int) -> tuple[str, str]:
    """Tell a function's name, then its module: many functions are of one, and a narrow list shows the beginning."""
    module, _, function = name.rpartition("!")
    return brief(function), f"{size:,} bytes · {brief(module)}" if module else f"{size:,} bytes"
