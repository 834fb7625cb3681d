"""File table (`browse`): the files of a recording with a sparkline of each; a click opens the explorer.

One page of rows is made once and refilled, and sparklines are computed for the page that is shown. So ten thousand files cost one
summary and no more. Sorting and searching are those of the summary's frame.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl
import traitlets

from fmrw.errors import BadInput
from fmrw.explorer import mimebundle
from fmrw.explorer import table_cells as cells
from fmrw.explorer.explorer import Explorer
from fmrw.explorer.kept import Kept
from fmrw.explorer.markup import escaped
from fmrw.explorer.sparklines import sparklines
from fmrw.explorer.view import DRAWN
from fmrw.figures.frontend import in_terminal
from fmrw.text import visible
from fmrw.trace import exactness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmrw.explorer.comparison import Opener
    from fmrw.explorer.outputs import Still
    from fmrw.explorer.trace_protocol import Recording

SORTS = {
    "path": ("path", False),
    "size": ("size", True),
    "coverage": ("covered", True),
    "reads": ("reads", True),
    "writes": ("writes", True),
    "largest gap": ("largest_gap", True),
}
"""What can be sorted by: column, and whether the largest comes first."""


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
    reverse : bool
        Whether the other way round.
    page : int
        From 0.
    view : Explorer or None
        The file that was opened.
    problem : str
        What went wrong last, or "".
    """

    search = traitlets.Unicode("")
    sort = traitlets.Unicode("reads")
    reverse = traitlets.Bool(default_value=False)
    page = traitlets.Int(0, min=0)
    view = traitlets.Any(None, allow_none=True)
    problem = traitlets.Unicode("")

    def __init__(self, trace: Recording) -> None:
        super().__init__()
        self.trace = trace
        self.opener: Opener | None = None
        self.files = trace.files
        self._table: Any = None  # a `FileTable`, whose module imports the widgets
        self._kept, self._beside = Kept(self), _Opened(self)
        self._opened = Kept(self._beside)

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

    @traitlets.observe("search", "sort", "reverse")
    def _start_again(self, _change: Any) -> None:  # noqa: ANN401 - as above
        self.page = 0

    def sort_by(self, name: str) -> None:
        """Sort by a column; if it is sorted by that already, the other way round."""
        self.reverse = name == self.sort and not self.reverse
        self.sort = name

    @property
    def _down(self) -> bool:
        return SORTS[self.sort][1] != self.reverse

    @property
    def arrow(self) -> str:
        """Which way it is sorted."""
        return "▼" if self._down else "▲"

    @property
    def found(self) -> pl.DataFrame:
        """The files that are searched for, sorted."""
        column, _ = SORTS[self.sort]
        wanted = pl.col("path").str.to_lowercase().str.contains(self.search.lower(), literal=True)
        return self.files.filter(wanted).sort(column, "path", descending=[self._down, False], nulls_last=True)

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, math.ceil(self.found.height / cells.ROWS))

    def data(self) -> pl.DataFrame:
        """Give the rows of the page that is shown."""
        return self.found.slice(self.page * cells.ROWS, cells.ROWS)

    def marked(self) -> pl.DataFrame:
        """Give the same rows with a column `mapped`: whether the file may have been read through a map that was not recorded."""
        rows = self.data()
        facts = self.trace.facts
        maps = [exactness.is_mapped(facts, path) for path in rows["path"]]
        return rows.with_columns(pl.Series("mapped", maps, pl.Boolean))

    def refresh(self) -> None:
        """Look again, since a live recording has grown."""
        self.files = self.trace.files
        if self._table is not None:
            self._table.fill()

    @property
    def exactness(self) -> str:
        """How exact the ranges of the files on this page are, and how coarse what was asked for."""
        rows = self.marked()
        smallest = rows["smallest_request"].min()
        asked = exactness.request_text(None if smallest is None else int(smallest))  # type: ignore[arg-type] # a number
        return "; ".join(
            filter(None, (exactness.files_text(rows["fidelity"], mapped=bool(rows["mapped"].any())), asked))
        )

    def open(self, path: str) -> Explorer:
        """Open a file's explorer below the table; the one before is closed."""
        opened = Explorer(self.trace, path)
        opened.opener = self.opener
        if self.view is not None:
            self.view.close()
        self.view = opened
        opened.observe(lambda _: self._opened.changed(), list(DRAWN))
        return opened

    @traitlets.observe("search", "sort", "reverse", "page")
    def _turned(self, _change: Any) -> None:  # noqa: ANN401 - as above
        self._kept.changed()

    @traitlets.observe("view")
    def _opened_another(self, _change: Any) -> None:  # noqa: ANN401 - as above
        self._opened.changed()

    @property
    def widget(self) -> Any:  # noqa: ANN401 - a VBox of ipywidgets
        """The widget; made when first asked for."""
        if self._table is None:
            try:
                from fmrw.explorer.widgets.file_table import FileTable  # noqa: PLC0415 - the extra `notebook` may be missing
            except ImportError:
                raise ImportError(mimebundle.INSTALL) from None
            self._table = FileTable(self, list(SORTS))
        return self._table.box

    def _ipython_display_(self) -> None:
        """Put out the widget, and behind it what stays in the notebook: the page, and the explorer that was open."""
        mimebundle.display(repr(self), self.text, self._bundle, [self._kept, self._opened])

    def _bundle(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.widget._repr_mimebundle_()
        return found

    def _repr_mimebundle_(self, **_options: Any) -> Any:  # noqa: ANN401 - as IPython has it
        """Give the widget, and beside it the page as a table, for whoever asks for a bundle."""
        if in_terminal():
            return {"text/plain": f"{self.text()}\n{mimebundle.TERMINAL}"}
        return {**self.still()[0], **mimebundle.beside(self.text(), self._bundle)}

    def still(self) -> Still:
        """Give what a saved notebook keeps: the page that was seen last, as a table."""
        return {"text/html": self.html(), "text/plain": self.text()}, {}

    def text(self) -> str:
        """Give the page as text."""
        rows = [f"{'path':<40} {'size':>14} {'covered':>7} {'reads':>8} {'writes':>7}"]
        rows += [
            f"{visible(row['path'])[:40]:<40} {row['size']:>14,} {cells.covered(row['covered']):>7} {row['reads']:>8,} {row['writes']:>7,}{exactness.mark(row['fidelity'], mapped=row['mapped'])}"
            for row in self.marked().iter_rows(named=True)
        ]
        rows.append(self.exactness)
        return "\n".join(rows)

    def html(self) -> str:
        """Give the page as HTML that needs no kernel."""
        rows = self.marked()
        strips = sparklines(self.trace, rows)
        body = [
            f"<div><span style='{cells.CELL};width:{cells.NAME}px'>{escaped(row['path'])}</span>{cells.row(row, strips)}</div>"
            for row in rows.iter_rows(named=True)
        ]
        return f"<div style='font:13px sans-serif'><div><span style='{cells.CELL};width:{cells.NAME}px'><b>path</b></span>{cells.heads()}</div>{''.join(body)}{cells.said(self.exactness)}</div>"

    def __repr__(self) -> str:
        """Say how much there is."""
        return f"<fmrw.Browser {self.files.height:,} files>"


class _Opened:
    """The explorer that is open below a table, for the picture that stays."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    def still(self) -> Still:
        view = self._browser.view
        return ({"text/plain": ""}, {}) if view is None else view.still()
