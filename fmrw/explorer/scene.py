"""Scene: the whole picture of a view; from a recorded file and a state to marks on a canvas.

Each part of the picture is a function that adds marks; `draw` puts them together. Bins come from `RecordedFile.bins`, whose price does
not depend on the number of accesses, and every panel has a fixed number of bins, so that a step is as large as the screen.
The plane of offset and time takes a sample of at most `SAMPLE` accesses, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, cast

import numpy as np

from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer.axis import axis
from fmrw.explorer.canvas import Canvas
from fmrw.explorer.colouring import COLOURINGS, Question, class_entries
from fmrw.explorer.context import DrawingContext
from fmrw.explorer.filters import OPS, Choice
from fmrw.explorer.layout import PanelLayout
from fmrw.explorer.palette import colours, spans
from fmrw.explorer.tracks.registry import draw_tracks
from fmrw.figures import grid
from fmrw.figures.grid import Square
from fmrw.figures.measure import shorten, text_width, wrap
from fmrw.figures.page import size_text
from fmrw.offsets import range_text
from fmrw.text import percent
from fmrw.trace.exactness import request_text, untouched_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from fmrw.explorer.colouring import Colouring
    from fmrw.explorer.recorded_file import RecordedFile
    from fmrw.explorer.state import State
    from fmrw.figures.grid import Layout
    from fmrw.figures.theme import Look

MOST_CELLS = 3_600
"""Marks of the grid; a grid that needs more is drawn with half the side."""

_FINE = 128
_LEGEND_LINES = _NOTE_LINES = 2
_WIDER = 1.14  # how much wider than measured a browser's own sans-serif may be


@dataclass(eq=False)
class Scene:
    """A picture, where its panels stand, and what gives the numbers of its grid by the edges of the cells and the operation."""

    canvas: Canvas
    layout: PanelLayout
    colouring: Colouring
    ops: tuple[str, ...]
    counted: Callable[[NDArray[np.int64], str], pl.DataFrame]

    @cached_property
    def cells(self) -> pl.DataFrame:
        """`start`, `end` and per operation `…_accesses`, `…_bytes`, `…_distinct`, `…_repeats`: one row per cell of the grid; the picture does without."""
        edges = self.layout.square.edges + self.layout.window[0]
        return _table({op: self.counted(edges, op) for op in self.ops})


def draw(recorded: RecordedFile, state: State, choice: Choice, look: Look) -> Scene:
    """Draw what a state shows of a file."""
    start, end = state.window
    square = Square.of(end - start, state.side, cast("Layout", state.layout))
    layout = PanelLayout.of(look, state.size, state.window, square)
    canvas = Canvas(look, colours(look.palette))
    ops = tuple(op for op in OPS[choice.ops] if recorded.present(op)) or ("read",)
    first = COLOURINGS[state.colour](Question(recorded, state, choice, ops, ()))
    context = DrawingContext(recorded, state, choice, canvas, layout, ops, first)
    painter = _Painter(context)
    painter.count()
    painter.title()
    painter.overview()
    painter.grid()
    draw_tracks(context)
    painter.legend()
    canvas.stands = context.layout.key
    return Scene(canvas, context.layout, context.colouring, ops, partial(recorded.bins, choice=choice))


def _table(cells: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    names = ("accesses", "bytes", "distinct", "repeats")
    first = next(iter(cells.values()))
    parts = [
        each.select(each[name].alias(f"{op}_{name}") for name in names).get_columns()
        for op, each in cells.items()
    ]
    kept = first.select("start", "end").hstack([column for part in parts for column in part])
    return kept.filter(kept["end"] > kept["start"])


class _Painter:
    """The parts of the picture around the stack of tracks."""

    def __init__(self, context: DrawingContext) -> None:
        self.context = context
        self.recorded, self.state, self.choice = context.recorded, context.state, context.choice
        self.canvas, self.ops = context.canvas, context.ops
        self.text = context.canvas.look.text

    @property
    def layout(self) -> PanelLayout:
        """Where the panels stand; `count` may choose a coarser grid."""
        return self.context.layout

    def count(self) -> None:
        """Choose what colours mean, and a grid that needs few enough marks."""
        square, first = self.layout.square, self.state.window[0]
        edges = square.edges + first
        columns = window_edges(*self.layout.window, self.layout.columns("stack"))
        bins = (edges, columns, window_edges(0, self.state.size, self.layout.columns("overview")))
        asked = Question(self.recorded, self.state, self.choice, self.ops, bins)
        self.context.colouring = COLOURINGS[self.state.colour](asked)
        runs = sum(grid.count_runs(square, self.colouring.numbers(edges, op)) for op in self.ops)
        if runs > MOST_CELLS and square.side > grid.SMALLEST:
            half = Square(square.size, square.side // 2, square.layout)
            self.context.layout = PanelLayout.of(self.canvas.look, self.state.size, self.state.window, half)
            self.count()

    @property
    def colouring(self) -> Colouring:
        """What the colours mean."""
        return self.context.colouring

    def title(self) -> None:
        """Say which file, which window, and how much of it was touched."""
        layout, text, look = self.layout, self.text, self.canvas.look
        left, right = layout.overview.left, layout.overview.right
        y = layout.overview.top - text * 2.6
        start, end = self.state.window
        whole = layout.length == self.state.size
        shown = "the whole file" if whole else f"{range_text(start, end)} · {size_text(end - start)} shown"
        self.canvas.text(right, y, shown, "a", size=1.15, align="right", bold=True)
        room = right - left - text_width(shown, text * 1.15 * _WIDER, bold=True) - text * 1.5
        name = shorten(look.title or self.recorded.path, room / _WIDER, text * 1.5)
        self.canvas.text(left, y, name, size=1.5, bold=True)
        room = (right - left) / _WIDER
        facts = self._facts()
        if text_width(" · ".join(facts), text * 0.95) > room:  # the least of them goes first
            facts = [each for each in facts if each != request_text(self.recorded.smallest)]
        self.canvas.text(
            left, y + text * 1.5, shorten(" · ".join(facts), room, text * 0.95), "faint", size=0.95
        )

    def _facts(self) -> list[str]:
        """Give what is known of the window in numbers."""
        facts = [size_text(self.state.size)]
        edges = np.array(self.state.window, np.int64)
        for op in self.ops:
            total = self.recorded.bins(edges, op, self.choice).row(0, named=True)
            share = total["distinct"] / length if (length := self.layout.length) else 0.0
            count = total["accesses"]
            facts.append(
                f"{count:,} {op}{'' if count == 1 else 's'} of {percent(share)}"
                + (" of the window" if op == self.ops[0] else "")
            )
        if not any(self.recorded.present(op) for op in OPS["both"]):
            del facts[1:]
        facts += filter(None, [self.recorded.exactness, request_text(self.recorded.smallest)])
        if said := self.choice.told():
            facts.append(said)
        return facts

    def overview(self) -> None:
        """Draw the whole file as a strip, and mark the window in it."""
        box, text = self.layout.overview, self.text
        if not self.state.size:
            self.canvas.rect(box.left, box.top, box.right, box.bottom, "g")
            self.canvas.text(
                (box.left + box.right) / 2,
                box.bottom - box.height * 0.4,
                "no bytes yet",
                "faint",
                align="center",
            )
            return
        edges = window_edges(0, self.state.size, self.layout.columns("overview"))
        high = box.height / len(self.ops)
        for number, op in enumerate(self.ops):
            top = box.top + number * high
            self.canvas.rect(box.left, top, box.right, top + high - (number + 1 < len(self.ops)), "g")
            keys = self.colouring.keys(op)
            for a, b, value in spans(self.colouring.numbers(edges, op)):
                x, x2 = (box.left + edge * box.width / (len(edges) - 1) for edge in (a, b))
                self.canvas.rect(x, top, x2, top + high - (number + 1 < len(self.ops)), keys[value - 1])
        self._marks()
        self._window()
        axis(self.canvas, self.layout, "overview", box.bottom + text * 0.35)

    def _marks(self) -> None:
        """Mark annotations above the overview."""
        if "annotations" not in self.state.overlays:
            return
        top = self.layout.overview.top
        for start, end, _ in self.state.annotations:
            x, x2 = self.layout.x(start, "overview"), self.layout.x(end, "overview")
            self.canvas.rect(x, top - self.text * 0.45, max(x2, x + 2), top - 1, "a")

    def _window(self) -> None:
        """Lay a veil over what is not looked at, and lead the eye from the window to the tracks."""
        layout, box, stack = self.layout, self.layout.overview, self.layout.stack
        start, end = self.state.window
        if (start, end) == (0, self.state.size):
            return
        x, x2 = layout.x(start, "overview"), layout.x(end, "overview")
        self.canvas.rect(box.left, box.top, x, box.bottom, "v")
        self.canvas.rect(x2, box.top, box.right, box.bottom, "v")
        if x2 - x < 2:  # noqa: PLR2004 - points, below which a frame is a line
            x, x2 = x - 1, x2 + 1
        self.canvas.frame(type(box)(x, box.top - 2, x2 - x, box.height + 4), "a", 1.5)
        if self.canvas.look.portrait:
            return
        below = box.bottom + self.text * 1.7  # the offsets, which no line is to cross
        for at, end in ((x, stack.left), (x2, stack.right)):
            self.canvas.line(at, box.bottom + 3, at, below, "a", width=0.6)
            self.canvas.line(at, below, end, stack.top - 4, "a", width=0.6)

    def grid(self) -> None:
        """Draw the window as a square of cells; the lower half of a written cell shows writes."""
        square, box = self.layout.square, self.layout.grid
        unit = box.width / square.side
        self._background(unit)
        edges = square.edges + self.state.window[0]
        numbers = {op: self.colouring.numbers(edges, op) for op in self.ops}
        written = numbers["write"] > 0 if "write" in numbers else np.zeros(square.count, bool)
        for op, number in numbers.items():
            keys = self.colouring.keys(op)
            other = written & (number > 0) if op == "read" else np.zeros(square.count, bool)
            upper = 0.5 if op == "write" and "read" in numbers else 0.0
            row, a, b, look = grid.run_columns(square, np.where(number > 0, number * 2 + other, 0))
            y, y2 = (box.top + (row + part) * unit for part in (upper, np.where(look % 2, 0.5, 1.0)))
            self.canvas.many((box.left + a * unit, y, box.left + b * unit, y2), keys, look // 2 - 1)
        self._lines(unit)
        self._outlines(unit)
        (told, order), size = self._cell_text(), self.text * 0.85
        room = (
            self.canvas.look.height - self.text * (3.2 + 1.3 * (len(self._legend_lines()) - 1)) - box.bottom
        )
        most = min(max(int(room / self.text) + 1, 1), _NOTE_LINES)  # above the legend
        for text in (f"{told}, {order}", told, shorten(told, box.width / _WIDER, size)):
            lines = wrap(text, box.width / _WIDER, size)
            if len(lines) <= most:
                break
        for place, line in enumerate(lines[:most]):
            self.canvas.text(box.left, box.bottom + self.text * (1.1 + place), line, "faint", size=0.85)

    def _background(self, unit: float) -> None:
        square, box = self.layout.square, self.layout.grid
        used = square.order < square.used
        for row, a, b in grid.stretches(used):
            self.canvas.rect(
                box.left + a * unit,
                box.top + row * unit,
                box.left + b * unit,
                box.top + (row + 1) * unit,
                "g",
            )

    def _lines(self, unit: float) -> None:
        square, box = self.layout.square, self.layout.grid
        if square.side >= _FINE:
            return
        width = round(min(1.0, unit * 0.09), 2)
        for number in range(1, square.side):
            x, y = box.left + number * unit, box.top + number * unit
            self.canvas.line(x, box.top, x, box.bottom, "paper", width=width)
            self.canvas.line(box.left, y, box.right, y, "paper", width=width)

    def _outlines(self, unit: float) -> None:
        if "annotations" not in self.state.overlays:
            return
        box, first = self.layout.grid, self.state.window[0]
        for start, end, _ in self.state.annotations:
            for x, y, x2, y2 in grid.outline(self.layout.square.cells_of(start - first, end - first)):
                self.canvas.line(
                    box.left + x * unit,
                    box.top + y * unit,
                    box.left + x2 * unit,
                    box.top + y2 * unit,
                    "a",
                    width=1.6,
                )

    def _cell_text(self) -> tuple[str, str]:
        """Say what a cell is, and in which order cells follow."""
        square = self.layout.square
        small, rest = divmod(square.size, square.count)
        holds = (
            "1 byte"
            if square.size <= square.count
            else f"{small:,}{f' or {small + 1:,}' if rest else ''} bytes"
        )
        order = (
            "rows from the top left" if square.layout == "row-major" else "Hilbert's curve from the top left"
        )
        return f"{square.side} × {square.side} cells of {holds}", order  # noqa: RUF001 - times

    def legend(self) -> None:
        """Explain the colours at the bottom."""
        left, text = self.layout.overview.left, self.text
        for number, line in enumerate(reversed(self._legend_lines())):
            for x, key, label in line:
                self._entry(left + x, self.canvas.look.height - text * (1.1 + 1.3 * number), key, label)

    def _legend_lines(self) -> list[list[tuple[float, str, str]]]:
        """Give the entries of the legend, each with its place from the left, in one line or two; what finds no room there is counted."""
        text, room = self.text, self.layout.overview.width
        entries = [*self.colouring.entries(), ("g", untouched_text(mapped=self.recorded.mapped))]
        if "classes" in self.state.overlays and self.state.colour != "class":
            entries += class_entries(self.recorded.probed)
        entries = [(key, shorten(label, room / 3, text * 0.9)) for key, label in entries]
        wide = [
            text * (3.1 if key else 1.5) + text_width(label, text * 0.9 * _WIDER) for key, label in entries
        ]
        lines: list[list[tuple[float, str, str]]] = [[]]
        x = 0.0
        for (key, label), width in zip(entries, wide, strict=True):
            if x + width > room and lines[-1]:
                lines.append([])
                x = 0.0
            lines[-1].append((x, key, label))
            x += width
        if len(lines) > _LEGEND_LINES:
            more = 1 + sum(map(len, lines[_LEGEND_LINES:]))
            lines = lines[:_LEGEND_LINES]
            lines[-1] = [*lines[-1][:-1], (lines[-1][-1][0], "", f"{more} more")]
        return lines

    def _entry(self, x: float, y: float, key: str, label: str) -> None:
        text = self.text
        if not key:
            self.canvas.text(x, y, label, "faint", size=0.9)
            return
        self.canvas.rect(x, y - text * 0.85, x + text, y + text * 0.15, key)
        self.canvas.text(x + text * 1.3, y, label, size=0.9)
