"""Table: columns and rows of plain values, shown in a terminal, as HTML in a notebook, and nowhere defined twice.

In a terminal a table takes the room there is. Where that is too little, columns that matter less are left out, and a line below says which; a
column of sentences (`long`) that has no room beside the others gets a line of its own under each row. Nothing is ever cut.

Cells are text from anywhere, names of files and programs among it: every one goes through `visible`, and is escaped for HTML. A `Share` is
a number with a bar, a `Coloured` a name with a mark in the program's colour.
"""

from __future__ import annotations

import html
import io
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.text import Text

from fmrw.text import percent, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from rich.console import ConsoleOptions, RenderResult

_GAP = "  "
_LEAST_SENTENCE = 44  # columns that a sentence needs beside others
_LEAST_NAME = 24  # columns within which a name is not folded
_BAR = 8  # columns of a bar
_PARTS = " ▏▎▍▌▋▊▉"  # eighths of a column
_PIXELS = 60  # of a bar in HTML
_BAR_COLOUR = "#5b8db8"
_WIDEST_PLAIN = 140  # columns of a table's text in a notebook


class Share(NamedTuple):
    """A share from 0 to 1, or None where there is nothing to have a share of; `remark` stands behind it."""

    of_one: float | None
    remark: str = ""

    @property
    def text(self) -> str:
        """The share in percent."""
        return "" if self.of_one is None else f"{percent(self.of_one, ' ')}{self.remark}"

    @property
    def bar(self) -> str:
        """The share as a bar of `_BAR` columns."""
        eighths = round(8 * _BAR * min(max(self.of_one or 0.0, 0.0), 1.0))
        if self.of_one and not eighths:
            eighths = 1
        return ("█" * (eighths // 8) + _PARTS[eighths % 8]).strip().ljust(_BAR)


class Coloured(NamedTuple):
    """A name with the colour of its program, "#rrggbb"."""

    name: str
    colour: str


Cell: TypeAlias = "str | Share | Coloured"


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    title : str
        What heads it.
    right : bool
        Whether it holds numbers.
    drop : int
        0 stays; of the others the highest is left out first where there is no room.
    long : bool
        Whether it holds sentences.
    colour : str
        "#rrggbb" of the program that it is about, or "".
    whole : bool
        Whether it holds names to be copied; columns that matter less are left out before one is folded.
    """

    title: str
    right: bool = False
    drop: int = 0
    long: bool = False
    colour: str = ""
    whole: bool = False

    @property
    def head(self) -> Cell:
        """What heads it, with a mark where it is about a program."""
        return Coloured(self.title, self.colour) if self.colour else self.title


@dataclass(frozen=True)
class Table:
    """A table: rich renders it, a notebook displays it.

    Attributes
    ----------
    columns : sequence of Column
        At most one of them `long`, the last.
    rows : sequence of sequences of Cell
        As long as there are columns.
    title, notes : str, sequence of str
        What stands above and below.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    notes: Sequence[str] = field(default_factory=list)

    # In a terminal

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the lines."""
        yield from _Lines(self, options.max_width, with_bars=console.is_terminal).lines()

    def text(self, width: int) -> str:
        """Give the table as text, in at most so many columns."""
        told = io.StringIO()
        # in a notebook rich would display it besides
        console = Console(
            file=told,
            width=width,
            color_system=None,
            force_terminal=True,
            legacy_windows=False,
            force_jupyter=False,
        )
        for line in _Lines(self, width, with_bars=True).lines():
            console.print(line, soft_wrap=True)
        return told.getvalue()

    def __str__(self) -> str:
        """Give the table as text, as wide as the terminal."""
        width = min(shutil.get_terminal_size((_WIDEST_PLAIN, 40)).columns, _WIDEST_PLAIN)
        return self.text(width).rstrip("\n")

    # In a notebook

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    def html(self) -> str:
        """Give the table as HTML that needs nothing else, light and dark."""
        heads = "".join(
            f"<th style='{_cell_style(column)}'>{_html_value(column.head)}</th>" for column in self.columns
        )
        body = "".join(f"<tr>{self._html_row(row)}</tr>" for row in self.rows)
        above = (
            f"<div style='font-weight:600;margin:4px 0'>{_escaped(self.title)}</div>" if self.title else ""
        )
        below = "".join(
            f"<div style='opacity:.75;font-size:90%'>{_escaped(note)}</div>" for note in self.notes
        )
        return (
            f"<div style='overflow-x:auto'>{above}<table style='margin:0;border-collapse:collapse'>"
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{below}</div>"
        )

    def _html_row(self, row: Sequence[Cell]) -> str:
        if len(row) < len(self.columns):  # a remark in the place of a row
            return f"<td colspan='{len(self.columns)}' style='text-align:left;padding:2px 8px'>{_html_value(row[0])}</td>"
        return "".join(_html_cell(*each) for each in zip(self.columns, row, strict=True))


def _escaped(text: str) -> str:
    return html.escape(visible(text))


def _cell_style(column: Column) -> str:
    side = "right" if column.right else "left"
    wraps = "normal;min-width:16em" if column.long else "nowrap"
    return f"text-align:{side};white-space:{wraps};padding:2px 8px"


def _html_cell(column: Column, cell: Cell) -> str:
    return f"<td style='{_cell_style(column)}'>{_html_value(cell)}</td>"


def _html_value(cell: Cell) -> str:
    if isinstance(cell, Share):
        if cell.of_one is None:
            return ""
        filled = max(1, round(_PIXELS * min(cell.of_one, 1))) if cell.of_one else 0
        mark = (
            f"<span style='display:inline-block;width:{filled}px;height:8px;background:{_BAR_COLOUR}'></span>"
        )
        room = f"<span style='display:inline-block;width:{_PIXELS}px;text-align:left;margin-left:6px;background:rgba(128,128,128,.2);line-height:8px'>{mark}</span>"
        return f"{_escaped(cell.text)}{room}"
    if isinstance(cell, Coloured):
        mark = f"<span style='display:inline-block;width:9px;height:9px;margin-right:5px;background:{html.escape(cell.colour)}'></span>"
        return f"{mark}{_escaped(cell.name)}"
    return _escaped(cell)


class _Lines:
    """The lines of a table in a terminal."""

    def __init__(self, table: Table, width: int, *, with_bars: bool) -> None:
        self._table, self._width, self._bars = table, width, with_bars
        self._cells = [[self._value(cell) for cell in row] for row in table.rows]
        self._shown = list(range(len(table.columns)))
        self._beneath: int | None = None
        self._fit()
        self._widths = {at: self._wanted(at) for at in self._shown}
        self._share_out()

    def _value(self, cell: Cell) -> Text:
        if isinstance(cell, Share):
            bar = f" {cell.bar}" if self._bars and cell.of_one is not None else ""
            return Text(cell.text).append(bar, _BAR_COLOUR)
        if isinstance(cell, Coloured):
            return Text("■ " if self._bars else "", cell.colour).append(visible(cell.name), "default")
        return Text(visible(cell))

    def _head(self, column: Column) -> Text:
        head = self._value(column.head)
        head.stylize("bold")
        return head

    # What has room

    def _fit(self) -> None:
        """Leave out what matters less; put sentences beneath the rows where they have no room beside the others."""
        columns = self._table.columns
        sentences = next((at for at in self._shown if columns[at].long), None)
        while self._needed() > self._width:
            if sentences is not None and self._beneath is None:
                self._beneath = sentences
                self._shown.remove(sentences)
                continue
            least = max(self._shown, key=lambda at: (columns[at].drop, at))
            if not columns[least].drop:
                if self._bars:  # the numbers stay
                    self._bars = False
                    self._cells = [[self._value(cell) for cell in row] for row in self._table.rows]
                    continue
                return
            self._shown.remove(least)

    def _needed(self) -> int:
        return sum(self._least(at) for at in self._shown) + len(_GAP) * (len(self._shown) - 1)

    def _least(self, at: int) -> int:
        column, wanted = self._table.columns[at], self._wanted(at)
        return (
            wanted
            if column.right or column.whole
            else min(wanted, _LEAST_SENTENCE if column.long else _LEAST_NAME)
        )

    def _wanted(self, at: int) -> int:
        head = self._head(self._table.columns[at]).cell_len
        return max([head, *(row[at].cell_len for row in self._cells if not self._is_remark(row))])

    def _is_remark(self, row: Sequence[Text]) -> bool:
        """Tell whether a row is a remark in the place of one: it goes over all columns, and widens none."""
        return len(row) < len(self._table.columns)

    def _share_out(self) -> None:
        """Take from the widest columns of text what the others need."""
        over = sum(self._widths.values()) + len(_GAP) * (len(self._shown) - 1) - self._width
        while over > 0:
            widest = max(
                (at for at in self._shown if not self._table.columns[at].right),
                key=lambda at: self._widths[at] - self._least(at),
                default=None,
            )
            if widest is None or self._widths[widest] <= 1:
                return
            room = max(self._widths[widest] - self._least(widest), 1)
            taken = min(room, over, self._widths[widest] - 1)
            self._widths[widest] -= taken
            over -= taken

    # What is shown

    def lines(self) -> Iterator[Text]:
        """Give title, head, rows and notes."""
        table = self._table
        if table.title:
            yield Text(visible(table.title), "bold", overflow="fold")
        if any(column.title for column in table.columns):
            yield from self._row([self._head(column) for column in table.columns])
        for row in self._cells:
            yield from self._row(row)
        for note in table.notes:
            yield Text(visible(note), "dim", overflow="fold")
        left_out = [
            column.title
            for at, column in enumerate(table.columns)
            if at not in self._shown and at != self._beneath
        ]
        if left_out and any(len(row) == len(table.columns) for row in self._cells):
            yield Text(f"left out for want of room: {', '.join(left_out)}", "dim", overflow="fold")

    def _row(self, cells: Sequence[Text]) -> Iterator[Text]:
        if self._is_remark(cells):
            yield from _wrapped(cells[0], max(self._width, 1))
            return
        shown = {at: _wrapped(cells[at], self._widths[at]) for at in self._shown}
        for number in range(max(map(len, shown.values()), default=0)):
            line = Text(no_wrap=True, overflow="ignore")
            for at, parts in shown.items():
                part = parts[number] if number < len(parts) else Text()
                room = " " * (self._widths[at] - part.cell_len)
                line.append(_GAP if line else "")
                line.append_text(Text(room) + part if self._table.columns[at].right else part + Text(room))
            line.rstrip()
            yield line
        if self._beneath is not None and cells[self._beneath].plain.strip():
            beneath = _wrapped(cells[self._beneath], max(self._width - len(_GAP), 1))
            yield from (Text(_GAP, no_wrap=True) + part for part in beneath)


def _wrapped(cell: Text, width: int) -> list[Text]:
    """Cut a cell into lines, between words where that can be."""
    if cell.cell_len <= width:
        return [cell]
    console = Console(width=max(width, 1), color_system=None, file=io.StringIO(), force_jupyter=False)
    lines = list(cell.wrap(console, max(width, 1), overflow="fold"))
    for line in lines:
        line.rstrip()
    return lines
