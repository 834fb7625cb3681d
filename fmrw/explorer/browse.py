"""File table (`browse`): the files of a recording with a sparkline of each; a click opens the explorer.

One page of rows is made once and refilled, and sparklines are computed for the page that is shown. So ten thousand files cost one
summary and no more. Sorting and searching are those of the summary's frame.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl
import traitlets

from fmrw.errors import BadInput, FmrwError
from fmrw.explorer import mimebundle
from fmrw.explorer.explorer import Explorer
from fmrw.explorer.hexview import escaped
from fmrw.explorer.sparklines import sparklines
from fmrw.figures.frontend import in_terminal
from fmrw.figures.theme import LIGHT
from fmrw.offsets import human_size
from fmrw.text import visible
from fmrw.trace import exactness

try:
    import ipywidgets as w  # type: ignore[import-untyped] # ships no types
except ImportError:  # said where a table is shown
    w = None

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmrw.explorer.trace_protocol import Recording

ROWS = 20
"""Files on a page."""

SORTS = {
    "path": ("path", False),
    "size": ("size", True),
    "coverage": ("covered", True),
    "reads": ("reads", True),
    "writes": ("writes", True),
    "largest gap": ("largest_gap", True),
}
"""What can be sorted by: column, and whether the largest comes first."""

_CELL = (
    "display:inline-block;box-sizing:border-box;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;"
    "vertical-align:middle;padding:0 5px;font-size:12px"
)
_NAME = 190  # pixels
_WIDTHS = {"size": 94, "coverage": 106, "reads": 62, "writes": 54, "largest gap": 94, "processes": 104}


def browse(trace: Recording) -> Browser:
    """Show the files of a recording as a table; a click on a name opens the explorer."""
    return Browser(trace)


class Browser(traitlets.HasTraits):
    """The table.

    Attributes
    ----------
    files : DataFrame
        One row per file, as `Trace.files`.
    search : str
        Shows only files with this in their path, upper or lower case alike.
    sort : str
        One of `SORTS`.
    page : int
        From 0.
    view : Explorer or None
        The file that was opened.
    problem : str
        What went wrong last, or "".
    """

    search = traitlets.Unicode("")
    sort = traitlets.Unicode("reads")
    page = traitlets.Int(0, min=0)
    view = traitlets.Any(None, allow_none=True)
    problem = traitlets.Unicode("")

    def __init__(self, trace: Recording) -> None:
        super().__init__()
        self.trace = trace
        self.files = trace.files
        self._table: _Table | None = None

    @traitlets.validate("sort")
    def _check_sort(self, proposal: Any) -> str:  # noqa: ANN401 - traitlets' Bunch
        if proposal["value"] not in SORTS:
            raise BadInput(
                f"cannot sort by {visible(str(proposal['value']))}: take one of {', '.join(SORTS)}"
            )
        return str(proposal["value"])

    @traitlets.validate("page")
    def _check_page(self, proposal: Any) -> int:  # noqa: ANN401 - as above
        return min(int(proposal["value"]), self.pages - 1)

    @traitlets.observe("search", "sort")
    def _start_again(self, _change: Any) -> None:  # noqa: ANN401 - as above
        self.page = 0

    @property
    def found(self) -> pl.DataFrame:
        """The files that are searched for, sorted."""
        column, down = SORTS[self.sort]
        wanted = pl.col("path").str.to_lowercase().str.contains(self.search.lower(), literal=True)
        return self.files.filter(wanted).sort(column, "path", descending=[down, False], nulls_last=True)

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, math.ceil(self.found.height / ROWS))

    def data(self) -> pl.DataFrame:
        """Give the rows of the page that is shown."""
        return self.found.slice(self.page * ROWS, ROWS)

    def refresh(self) -> None:
        """Look again, since a live recording has grown."""
        self.files = self.trace.files
        if self._table is not None:
            self._table.fill()

    @property
    def exactness(self) -> str:
        """How exact the ranges of the files on this page are, and how coarse what was asked for."""
        rows = self.data()
        smallest = rows["smallest_request"].min()
        asked = exactness.request_text(None if smallest is None else int(smallest))  # type: ignore[arg-type] # a number
        return "; ".join(filter(None, (exactness.files_text(rows["fidelity"]), asked)))

    def open(self, path: str) -> Explorer:
        """Open a file's explorer below the table; the one before is closed."""
        opened = Explorer(self.trace, path)
        if self.view is not None:
            self.view.close()
        self.view = opened
        return opened

    @property
    def widget(self) -> Any:  # noqa: ANN401 - a VBox of ipywidgets
        """The widget; made when first asked for."""
        if w is None:
            raise ImportError(mimebundle.INSTALL)
        if self._table is None:
            self._table = _Table(self)
        return self._table.box

    def _repr_mimebundle_(self, **options: Any) -> Any:  # noqa: ANN401 - as IPython has it
        """Give the widget, and beside it the page as a table for where no kernel runs."""
        if in_terminal():
            return {"text/plain": f"{self.text()}\n{mimebundle.TERMINAL}"}
        shown = mimebundle.beside(self.text(), lambda: self.widget._repr_mimebundle_(**options))
        return {**shown, "text/html": self.html()}

    def text(self) -> str:
        """Give the page as text."""
        rows = [f"{'path':<40} {'size':>14} {'covered':>7} {'reads':>8} {'writes':>7}"]
        rows += [
            f"{visible(row['path'])[:40]:<40} {row['size']:>14,} {percent(row['covered']):>7} {row['reads']:>8,} {row['writes']:>7,}{exactness.mark(row['fidelity'])}"
            for row in self.data().iter_rows(named=True)
        ]
        rows.append(self.exactness)
        return "\n".join(rows)

    def html(self) -> str:
        """Give the page as HTML that needs no kernel."""
        rows = self.data()
        strips = sparklines(self.trace, rows)
        body = [
            f"<div><span style='{_CELL};width:{_NAME}px'>{escaped(row['path'])}</span>{_cells(row, strips)}</div>"
            for row in rows.iter_rows(named=True)
        ]
        return f"<div style='font:13px sans-serif'><div><span style='{_CELL};width:{_NAME}px'><b>path</b></span>{_heads()}</div>{''.join(body)}{_said(self.exactness)}</div>"

    def __repr__(self) -> str:
        """Say how much there is."""
        return f"<fmrw.Browser {self.files.height:,} files>"


class _Table:
    """The widgets of a browser: one row of them per row of a page, refilled when another page is shown."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._names = [self._name() for _ in range(ROWS)]
        self._cells = [w.HTML() for _ in range(ROWS)]
        self._rows = [w.HBox([name, cells]) for name, cells in zip(self._names, self._cells, strict=True)]
        self._where, self._problem, self._opened = w.Label(), w.HTML(), w.VBox([])
        self._exactness = w.HTML()
        table = w.VBox([self._heads(), *self._rows])
        self.box = w.VBox([self._tools(), table, self._exactness, self._problem, self._opened])
        browser.observe(lambda _: self.attempt(self.fill), ["search", "sort", "page"])
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
            layout=w.Layout(width=f"{_NAME}px"),
            style={"button_color": LIGHT.paper, "text_color": LIGHT.reads[3]},
        )
        made.on_click(lambda clicked: self.attempt(lambda: self.browser.open(clicked.path)))
        return made

    def _heads(self) -> w.HBox:
        return w.HBox(
            [w.HTML(f"<span style='{_CELL};width:{_NAME - 4}px'><b>path</b></span>"), w.HTML(_heads())]
        )

    def _tools(self) -> w.HBox:
        browser = self.browser
        search = w.Text(placeholder="search in paths", continuous_update=False)
        search.observe(
            lambda change: self.attempt(lambda: setattr(browser, "search", change["new"])), "value"
        )
        sort = w.Dropdown(
            options=list(SORTS),
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
        rows = self.browser.data()
        strips = sparklines(self.browser.trace, rows)
        for number, box in enumerate(self._rows):
            box.layout.display = "flex" if number < rows.height else "none"
        for row, name, cells in zip(rows.iter_rows(named=True), self._names, self._cells, strict=False):
            name.path = row["path"]
            name.description = name.tooltip = visible(row["path"])
            cells.value = _cells(row, strips)
        self._exactness.value = _said(self.browser.exactness)
        self._where.value = (
            f"page {self.browser.page + 1} of {self.browser.pages}, {self.browser.found.height:,} files"
        )


def percent(share: float | None) -> str:
    """Write a share, which an empty file has none of."""
    return "" if share is None else f"{share:.1%}"


def _heads() -> str:
    heads = "".join(
        f"<span style='{_column(name, width)}'><b>{name}</b></span>" for name, width in _WIDTHS.items()
    )
    return _line(f"{heads}<span style='{_CELL}'><b>where</b></span>")


def _said(exactness: str) -> str:
    return f"<div style='{_CELL};width:auto'>{escaped(exactness)}</div>"


def _column(name: str, width: int) -> str:
    return f"{_CELL};width:{width}px;text-align:{'left' if name == 'processes' else 'right'}"


def _line(cells: str) -> str:
    return f"<span style='white-space:nowrap'>{cells}</span>"


def _cells(row: Mapping[str, Any], strips: Mapping[str, str]) -> str:
    gap = human_size(row["largest_gap"]) if row["largest_gap"] else ""
    texts = (
        human_size(row["size"]),
        percent(row["covered"]) + exactness.mark(row["fidelity"]),
        f"{row['reads']:,}",
        f"{row['writes']:,}",
        gap,
        row["processes"],
    )
    shown = "".join(
        f"<span style='{_column(*column)}'>{escaped(text)}</span>"
        for text, column in zip(texts, _WIDTHS.items(), strict=True)
    )
    return _line(f"{shown}<span style='{_CELL}'>{strips.get(row['path'], '')}</span>")
