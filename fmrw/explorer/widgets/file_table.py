"""File table: the widgets of `browse`."""

from __future__ import annotations

from typing import Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.errors import FmrwError
from fmrw.explorer import table_cells as cells
from fmrw.explorer.markup import escaped
from fmrw.explorer.sparklines import sparklines
from fmrw.explorer.widgets.page_events import Styles
from fmrw.figures.theme import LIGHT
from fmrw.text import visible


class FileTable:
    """The widgets of a browser: one row of them per row of a page, refilled when another page is shown."""

    def __init__(self, browser: Any, sorts: list[str]) -> None:  # noqa: ANN401 - a `Browser`, which stands above
        self.browser, self._sorts = browser, sorts
        self._names = [self._name() for _ in range(cells.ROWS)]
        self._cells = [w.HTML() for _ in range(cells.ROWS)]
        self._rows = [w.HBox([name, shown]) for name, shown in zip(self._names, self._cells, strict=True)]
        self._where, self._problem, self._opened = w.Label(), w.HTML(), w.VBox([])
        self._exactness = w.HTML()
        table = w.VBox([self._heads(), *self._rows])
        self.box = w.VBox([self._tools(), table, self._exactness, self._problem, Styles(), self._opened])
        self.box.add_class("fmrw-browse")
        browser.observe(lambda _: self.attempt(self.fill), ["search", "sort", "reverse", "page"])
        browser.observe(lambda change: setattr(self._by, "value", change["new"]), "sort")
        browser.observe(self._tell, "problem")
        browser.observe(self._show, "view")
        self.fill()

    def attempt(self, act: Any) -> None:  # noqa: ANN401 - a function without arguments
        """Do something in answer to the user; what goes wrong is shown below the table."""
        try:
            act()
        except FmrwError as error:
            self.browser.problem = str(error)
        except Exception as error:  # noqa: BLE001 - shown, since a callback has nobody to raise to
            self.browser.problem = f"{type(error).__name__}: {error}"
        else:
            self.browser.problem = ""

    def _tell(self, change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        self._problem.value = (
            f"<div role='status' style='color:{LIGHT.accent}'>{escaped(change['new'])}</div>"
            if change["new"]
            else ""
        )

    def _show(self, change: Any) -> None:  # noqa: ANN401 - as above
        self._opened.children = [change["new"].widget] if change["new"] is not None else []

    def _name(self) -> w.Button:
        made = w.Button(
            layout=w.Layout(width=f"{cells.NAME}px"),
            style={"button_color": LIGHT.paper, "text_color": LIGHT.reads[3]},
        )
        made.on_click(lambda clicked: self.attempt(lambda: self.browser.open(clicked.path)))
        return made

    def _heads(self) -> w.HBox:
        """Make the heads of the columns; a click sorts by one, another click the other way round."""
        self._sorting = {
            name: self._head(name, cells.NAME if name == "path" else cells.WIDTHS[name])
            for name in self._sorts
        }
        rest = {name: width for name, width in cells.WIDTHS.items() if name not in self._sorts}
        return w.HBox([*self._sorting.values(), w.HTML(cells.heads(rest))])

    def _head(self, name: str, width: int) -> w.Button:
        made = w.Button(
            tooltip=f"sort by {name}; again: the other way round",
            layout=w.Layout(width=f"{width}px", margin="0", padding="0 5px"),
            style={"button_color": "transparent", "font_weight": "bold", "font_size": "12px"},
        )
        made.on_click(lambda _: self.attempt(lambda: self.browser.sort_by(name)))
        return made

    def _tools(self) -> w.HBox:
        browser = self.browser
        search = w.Text(placeholder="search in paths", continuous_update=False)
        search.observe(
            lambda change: self.attempt(lambda: setattr(browser, "search", change["new"])), "value"
        )
        self._by = sort = w.Dropdown(
            options=self._sorts,
            value=browser.sort,
            description="sort by",
            style={"description_width": "50px"},
            layout=w.Layout(width="180px"),
        )
        sort.observe(lambda change: self.attempt(lambda: setattr(browser, "sort", change["new"])), "value")
        back, on, again = (
            w.Button(icon=icon, layout=w.Layout(width="40px"))
            for icon in ("chevron-left", "chevron-right", "refresh")
        )
        back.on_click(lambda _: self.attempt(lambda: setattr(browser, "page", max(browser.page - 1, 0))))
        on.on_click(lambda _: self.attempt(lambda: setattr(browser, "page", browser.page + 1)))
        again.on_click(lambda _: self.attempt(browser.refresh))
        return w.HBox([search, sort, back, self._where, on, again])

    def fill(self) -> None:
        """Show the page that is chosen."""
        for name, head in self._sorting.items():
            head.description = f"{name} {self.browser.arrow}" if name == self.browser.sort else name
        rows = self.browser.marked()
        strips = sparklines(self.browser.trace, rows)
        for number, box in enumerate(self._rows):
            box.layout.display = "flex" if number < rows.height else "none"
        for row, name, shown in zip(rows.iter_rows(named=True), self._names, self._cells, strict=False):
            name.path = row["path"]
            name.description = name.tooltip = visible(row["path"])
            shown.value = cells.row(row, strips)
        self._exactness.value = cells.said(self.browser.exactness)
        self._where.value = (
            f"page {self.browser.page + 1} of {self.browser.pages}, {self.browser.found.height:,} files"
        )
