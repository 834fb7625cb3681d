"""Tracks: rows below each other along one axis of offsets; what the bytes are, who touched them, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import bytestats
from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer.filters import Choice
from fmrw.explorer.palette import keys_of, spans
from fmrw.figures.classes import Classes
from fmrw.figures.page import Box, shorten
from fmrw.offsets import hex_offset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fmrw.explorer.canvas import Canvas
    from fmrw.explorer.layout import PanelLayout
    from fmrw.explorer.recorded_file import RecordedFile
    from fmrw.explorer.state import State

SAMPLE = 50_000
"""Accesses of the window that are looked at for the lanes and for the plane of offset and time."""

MOST_POINTS = 800
"""Marks of that plane."""

_LANES = 6
_LEVELS = 3
_PARTS = 120  # named ranges drawn per level
_ENTROPY_COLUMNS, _ENTROPY_BYTES, _ENTROPY_LEAST = 120, 4096, 64
_TIME_LEAST = 5  # units of text the plane of time needs


@dataclass
class DrawingContext:
    """What is drawn, how, and onto what; a painter may change the layout and the classes."""

    recorded: RecordedFile
    state: State
    choice: Choice
    canvas: Canvas
    layout: PanelLayout
    ops: tuple[str, ...]
    classes: Classes = field(default_factory=lambda: Classes.of(1))


class Stack:
    """Draws the tracks, from top to bottom."""

    def __init__(self, context: DrawingContext) -> None:
        self.recorded, self.state, self.choice = context.recorded, context.state, context.choice
        self.canvas, self.layout, self.classes, self.ops = (
            context.canvas,
            context.layout,
            context.classes,
            context.ops,
        )
        self.text = context.canvas.look.text
        self.y = context.layout.stack.top

    def draw(self) -> None:
        """Draw all of them."""
        if not self.state.size:
            return
        if "annotations" in self.state.overlays:
            self._annotations()
        if "structure" in self.state.overlays:
            self._structure()
        if "entropy" in self.state.overlays:
            self._entropy()
        self._strips()
        self._ticks()
        rows, total = self.recorded.sample(self.choice, self.layout.window, SAMPLE)
        kinds = self._kinds(rows)
        if "borders" in self.state.overlays:
            self._borders(rows)
        self._lanes(rows, kinds)
        self._time(rows, total, kinds)

    def _row(self, name: str, height: float, *, background: bool = True) -> Box:
        """Begin a track: its name in the gutter, its background, its box."""
        stack, text = self.layout.stack, self.text
        box = Box(stack.left, self.y, stack.width, height * text)
        if background:
            self.canvas.rect(box.left, box.top, box.right, box.bottom, "g")
        if name:
            middle = box.top + min(box.height, text * 2.2) / 2 + text * 0.32
            self.canvas.text(
                box.left - text * 0.7, middle, shorten(name, text * 8.6, text * 0.9), size=0.9, align="right"
            )
        self.y = box.bottom + text * 0.3
        return box

    def _bar(self, box: Box, start: int, end: int, key: str) -> tuple[float, float]:
        """Draw a range of the file, at least a visible sliver of it."""
        x, x2 = self.layout.x(start), self.layout.x(end)
        x2 = max(x2, min(x + 1, box.right))
        self.canvas.rect(x, box.top, x2, box.bottom, key)
        return x, x2

    def _label(self, box: Box, x: float, x2: float, name: str, key: str = "ink") -> None:
        """Write a name into a bar that has room for it."""
        text = self.text
        shown = shorten(name, x2 - x - text * 0.6, text * 0.8)
        if len(shown) * text * 0.42 < x2 - x - text * 0.4:
            self.canvas.text(
                (x + x2) / 2, box.top + box.height / 2 + text * 0.28, shown, key, size=0.8, align="center"
            )

    def _annotations(self) -> None:
        start, end = self.state.window
        inside = [each for each in self.state.annotations if each.start < end and each.end > start]
        if not inside:
            return
        box = self._row("marked", 1.15, background=False)
        for each in inside:
            x, x2 = self._bar(box, each.start, each.end, "a")
            self._label(box, x, x2, each.name, "paper")

    def _structure(self) -> None:
        parts = self.recorded.file.parts(*self.state.window)
        names = iter(("format", "parts", "inner parts"))
        for level in sorted(parts["depth"].unique().to_list())[:_LEVELS]:
            box = self._row(next(names), 1.15, background=False)
            found = parts.filter(pl.col("depth") == level).sort("start")
            for number, (start, end, name) in enumerate(_drawable(found, self.layout.length, _PARTS)):
                x, x2 = self._bar(box, start, end, ("s", "S")[number % 2])
                self._label(box, x, x2, name)

    def _entropy(self) -> None:
        columns = max(1, min(_ENTROPY_COLUMNS, self.layout.length // _ENTROPY_LEAST))
        edges = window_edges(*self.layout.window, columns).tolist()
        box = self._row("entropy", 2.0)
        pieces = [(start, min(end, start + _ENTROPY_BYTES)) for start, end in pairwise(edges)]
        contents, reason = self.recorded.file.contents(pieces)
        if reason:
            self.canvas.text(
                box.left + self.text * 0.5, box.top + self.text * 1.3, reason, "faint", size=0.85
            )
        for (start, end), content in zip(pairwise(edges), contents, strict=False):
            share = bytestats.entropy(bytestats.histogram([content])) / 8
            x, x2 = self.layout.x(start), self.layout.x(end)
            self.canvas.rect(x, box.bottom - share * box.height, x2, box.bottom, "n")

    def _strips(self) -> None:
        """Draw how often each column was read and written, and which no read touched."""
        edges = window_edges(*self.layout.window, self.layout.columns("stack"))
        for op in self.ops:
            bins = self.recorded.bins(edges, op, self.choice)
            box = self._row(f"{op}s", 2.2 if op == "read" else 1.5)
            self._columns(box, self.classes.number(bins["repeats"].to_numpy()), op)
            if op == "read":
                self._unread(bins)

    def _columns(self, box: Box, numbers: NDArray[np.int64], op: str) -> None:
        keys, unit = keys_of(self.classes, op), box.width / len(numbers)
        for a, b, number in spans(numbers):
            self.canvas.rect(box.left + a * unit, box.top, box.left + b * unit, box.bottom, keys[number - 1])

    def _unread(self, bins: pl.DataFrame) -> None:
        length = (bins["end"] - bins["start"]).to_numpy()
        distinct = bins["distinct"].to_numpy()
        looks = np.where(distinct == 0, 2, np.where(distinct < length, 1, 0))
        box = self._row("never read" if self.choice == Choice() else "not read", 0.9)
        unit = box.width / len(looks)
        for a, b, look in spans(looks):
            self.canvas.rect(box.left + a * unit, box.top, box.left + b * unit, box.bottom, "hn"[look - 1])

    def _ticks(self) -> None:
        axis(self.canvas, self.layout, "stack", self.y - self.text * 0.2)
        self.y += self.text * 1.2

    def _kinds(self, rows: pl.DataFrame) -> dict[tuple[int, str], str]:
        """Give the processes that did most in the window, each with its colour; colours do not change with the window."""
        keys = {pair: f"p{number % 7}" for number, pair in enumerate(self.recorded.processes)}
        if len(keys) <= _LANES:
            return keys
        most = (
            rows.lazy()
            .group_by("pid", "process")
            .len()
            .sort("len", "pid", descending=[True, False])
            .head(_LANES)
        )
        return {pair: keys[pair] for pair in most.select("pid", "process").collect().iter_rows()}

    def _lanes(self, rows: pl.DataFrame, kinds: dict[tuple[int, str], str]) -> None:
        """Draw which columns each process touched."""
        columns = max(1, self.layout.columns("stack") // 2)
        who = _numbered(rows, kinds)
        for number, ((pid, name), key) in enumerate(kinds.items()):
            box = self._row(f"{name} [{pid}]", 0.95)
            self._touched(box, _covered(rows.filter(who == number), self.state.window, columns), key)
        more = len(self.recorded.processes) - len(kinds)
        if more > 0:
            box = self._row(f"{more} more", 0.95)
            self._touched(box, _covered(rows.filter(who == len(kinds)), self.state.window, columns), "n")

    def _borders(self, rows: pl.DataFrame) -> None:
        """Mark where calls begin and end."""
        box, (start, end) = self._row("call borders", 0.95), self.layout.window
        places = np.unique(np.concatenate([rows["start"].to_numpy(), rows["end"].to_numpy()]))
        places = places[(places >= start) & (places <= end)]
        columns = ((places - start) * (box.width / max(end - start, 1))).astype(np.int64)
        for column in np.unique(columns).tolist():
            x = min(box.left + column, box.right - 1)
            self.canvas.rect(x, box.top, x + 1, box.bottom, "ink")

    def _touched(self, box: Box, covered: NDArray[np.int64], key: str) -> None:
        unit = box.width / len(covered)
        for a, b, _ in spans(covered):
            self.canvas.rect(box.left + a * unit, box.top, box.left + b * unit, box.bottom, key)

    def _time(self, rows: pl.DataFrame, total: int, kinds: dict[tuple[int, str], str]) -> None:
        """Draw what was accessed when: offsets across, time downwards."""
        stack, text = self.layout.stack, self.text
        room = (stack.bottom - self.y) / text
        if room < _TIME_LEAST:
            return
        box = self._row("", room)
        self.canvas.text(
            box.left - text * 0.7, box.top + text * 0.8, "first access", "faint", size=0.85, align="right"
        )
        if rows.is_empty():
            return
        first, last = (
            round(each.timestamp() * 1e6) for each in (self.recorded.first, self.recorded.last) if each
        )
        self.canvas.text(
            box.left - text * 0.7,
            box.bottom - text * 0.1,
            _span(last - first),
            "faint",
            size=0.85,
            align="right",
        )
        for x, x2, y, key in _points(rows, self.layout.window, (first, last), box, kinds):
            self.canvas.rect(x, y, x2, y + 1.6, key)
        if rows.height < total:
            shown = "lanes, call borders and time" if "borders" in self.state.overlays else "lanes and time"
            note = f"{shown}: {rows.height:,} of {total:,} accesses"
            self.canvas.text(box.right, stack.bottom + text * 1.3, note, "faint", size=0.85, align="right")


def axis(canvas: Canvas, layout: PanelLayout, panel: str, y: float) -> None:
    """Write offsets at multiples of a power of two below a strip, and the end of the file where there is room."""
    (start, end), box = layout.strip(panel)
    text, ticks = canvas.look.text, _ticks_of(start, end)
    taken: list[tuple[float, float]] = []
    for offset in [*ticks, *([end] if end == layout.size and end not in ticks else [])]:
        x, label = layout.x(offset, panel), hex_offset(offset)
        wide = len(label) * text * 0.24
        middle = min(max(x, layout.overview.left + wide), layout.overview.right - wide)
        if any(middle - wide < b + text and middle + wide > a - text for a, b in taken):
            continue
        canvas.line(x, y, x, y + text * 0.2, "faint", width=0.8)
        canvas.text(middle, y + text * 0.95, label, "faint", size=0.85, align="center")
        taken.append((middle - wide, middle + wide))
    canvas.line(box.left, y, box.right, y, "faint", width=0.4)


def _ticks_of(start: int, end: int) -> list[int]:
    """Choose round offsets of a window: two to seven multiples of a power of two."""
    step = 1 << max(0, (max(end - start, 1) // 5).bit_length())
    return list(range(-(-start // step) * step, end + 1, step))


def _span(microseconds: int) -> str:
    seconds = microseconds / 1e6
    return f"+ {seconds * 1e3:,.1f} ms" if seconds < 1 else f"+ {seconds:,.1f} s"


def _covered(rows: pl.DataFrame, window: tuple[int, int], columns: int) -> NDArray[np.int64]:
    """Say of each column whether a row touches it."""
    start, length = window[0], window[1] - window[0]
    last = columns - 1
    low = np.clip((rows["start"].to_numpy() - start) * (columns / length), 0, last).astype(np.int64)
    high = np.clip((rows["end"].to_numpy() - 1 - start) * (columns / length), 0, last).astype(np.int64)
    steps = (
        np.bincount(low, minlength=columns + 1) - np.bincount(high + 1, minlength=columns + 1)[: columns + 1]
    )
    return (np.cumsum(steps)[:columns] > 0).astype(np.int64)


def _points(
    rows: pl.DataFrame,
    window: tuple[int, int],
    times: tuple[int, int],
    box: Box,
    kinds: dict[tuple[int, str], str],
) -> Iterator[tuple[float, float, float, str]]:
    """Give marks of offset and time: one per step of the plane, in steps fine enough for `MOST_POINTS`."""
    start, end = window
    scale = box.width / max(end - start, 1)
    x = np.clip((rows["start"].to_numpy() - start) * scale, 0, box.width)
    x2 = np.clip((rows["end"].to_numpy() - start) * scale, 0, box.width)
    when = rows["time"].to_physical().to_numpy()
    y = (when - times[0]) / max(times[1] - times[0], 1) * (box.height - 1.6)
    who = _numbered(rows, kinds)
    high, wide = int(box.height / 1.6) + 2, int(box.width) + 2
    left, right, down = x.astype(np.int64), np.ceil(x2).astype(np.int64), (y // 1.6).astype(np.int64)
    step, marks = 1, np.unique(((left * wide + right) * high + down) * 8 + who)
    while len(marks) > MOST_POINTS and step <= box.width:
        rest, who = np.divmod(marks, 8)
        rest, down = np.divmod(rest, high)
        left, right = np.divmod(rest, wide)
        step *= 2  # twice as coarse a plane, from the marks of the finer one
        marks = np.unique(((left // 2 * wide + (right + 1) // 2) * high + down // 2) * 8 + who)
    keys = [*kinds.values(), "n"]
    for mark in marks.tolist():
        rest, at = divmod(mark, 8)
        rest, y_ = divmod(rest, high)
        x_, x2_ = divmod(rest, wide)
        yield (
            box.left + x_ * step,
            box.left + min(max(x2_, x_ + 1) * step, box.width),
            box.top + min(y_ * 1.6 * step, box.height - 1.6),
            keys[at],
        )


def _numbered(rows: pl.DataFrame, kinds: dict[tuple[int, str], str]) -> NDArray[np.int64]:
    """Give the place of each row's process among the kinds, or the number of kinds for others."""
    found = np.full(rows.height, len(kinds), np.int64)
    for number, (pid, name) in enumerate(kinds):
        own = rows.select((pl.col("pid") == pid) & (pl.col("process") == name)).to_series()
        found[own.to_numpy()] = number
    return found


def _drawable(parts: pl.DataFrame, length: int, most: int) -> list[tuple[int, int, str]]:
    """Give the parts worth drawing: the largest, in order."""
    if parts.height > most:
        wide = parts.with_columns(wide=pl.col("end") - pl.col("start")).top_k(most, by="wide")
        parts = wide.filter(pl.col("wide") * 2_000 > length).sort("start")
    return list(parts.select("start", "end", "name").iter_rows())
