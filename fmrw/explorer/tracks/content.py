"""Content tracks: named ranges, the parts that the file's format describes, entropy, and where calls begin and end."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import bytestats
from fmrw.analysis.index.tiles import window_edges

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmrw.explorer.tracks.stack import Stack

Part = tuple[int, int, str]

_HEIGHT = 1.15  # units of text
_LEVELS, _ROWS = 3, 3  # of the format, and rows for parts of one level that overlap
_PARTS = 120  # named ranges drawn per level
_ENTROPY_COLUMNS, _ENTROPY_BYTES, _ENTROPY_LEAST = 120, 4096, 64


def marked(stack: Stack) -> None:
    """Draw the ranges that the user has named."""
    start, end = stack.state.window
    inside = [tuple(each) for each in stack.state.annotations if each.start < end and each.end > start]
    _packed(stack, ["marked"], inside, ("a",), "paper")


def structure(stack: Stack) -> None:
    """Draw the parts that the format names, a row for each level, and more where parts of a level overlap."""
    parts = stack.recorded.file.parts(*stack.state.window)
    names = iter(("format", "parts", "inner parts"))
    for level in sorted(parts["depth"].unique().to_list())[:_LEVELS]:
        found = parts.filter(pl.col("depth") == level).sort("start", "end")
        _packed(stack, [next(names)], _drawable(found, stack.layout.length), ("s", "S"), "ink")


def _packed(stack: Stack, names: list[str], parts: Iterable[Part], keys: tuple[str, ...], ink: str) -> None:
    """Draw named ranges into as few rows as keep them apart; what finds no place in the last one is counted there."""
    rows = packed([(*stack.edges(stack.layout.stack, start, end), name) for start, end, name in parts])
    left_over = sum(map(len, rows[_ROWS:]))
    for number, row in enumerate(rows[:_ROWS]):
        last = left_over if number == _ROWS - 1 else 0
        box = stack.row(
            f"{left_over} more" if last else "" if number else names[0], _HEIGHT, background=False
        )
        for place, (x, x2, name) in enumerate(row):
            stack.canvas.rect(x, box.top, x2, box.bottom, keys[place % len(keys)])
            stack.label(box, x, x2, name, ink)


def packed(bars: Iterable[tuple[float, float, str]]) -> list[list[tuple[float, float, str]]]:
    """Put bars into rows so that none lies over another: each into the first row that is free where it begins."""
    rows: list[list[tuple[float, float, str]]] = []
    for bar in sorted(bars, key=lambda each: each[:2]):
        free = next((row for row in rows if row[-1][1] <= bar[0] + _SLACK), None)
        if free is None:
            rows.append([bar])
        else:
            free.append(bar)
    return rows


_SLACK = 1.0  # points that neighbours may share, since slivers are drawn wider than they are


def entropy(stack: Stack) -> None:
    """Draw how random the bytes are, from 0 to 8 bits a byte."""
    columns = max(1, min(_ENTROPY_COLUMNS, stack.layout.length // _ENTROPY_LEAST))
    edges = window_edges(*stack.layout.window, columns).tolist()
    box = stack.row("entropy", 2.0)
    pieces = [(start, min(end, start + _ENTROPY_BYTES)) for start, end in pairwise(edges)]
    contents, reason = stack.recorded.file.contents(pieces)
    if reason:
        stack.canvas.text(box.left + stack.text * 0.5, box.top + stack.text * 1.3, reason, "faint", size=0.85)
    for (start, end), content in zip(pairwise(edges), contents, strict=False):
        share = bytestats.entropy(bytestats.histogram([content])) / 8
        x, x2 = stack.layout.x(start), stack.layout.x(end)
        stack.canvas.rect(x, box.bottom - share * box.height, x2, box.bottom, "n")


def borders(stack: Stack) -> None:
    """Mark where calls begin and end."""
    rows, _ = stack.sample
    box, (start, end) = stack.row("call borders", 0.95), stack.layout.window
    places = np.unique(np.concatenate([rows["start"].to_numpy(), rows["end"].to_numpy()]))
    places = places[(places >= start) & (places <= end)]
    columns = ((places - start) * (box.width / max(end - start, 1))).astype(np.int64)
    for column in np.unique(columns).tolist():
        x = min(box.left + column, box.right - 1)
        stack.canvas.rect(x, box.top, x + 1, box.bottom, "ink")


def _drawable(parts: pl.DataFrame, length: int) -> list[Part]:
    """Give the parts worth drawing: the largest, in order."""
    if parts.height > _PARTS:
        wide = parts.with_columns(wide=pl.col("end") - pl.col("start")).top_k(_PARTS, by="wide")
        parts = wide.filter(pl.col("wide") * 2_000 > length).sort("start", "end")
    return list(parts.select("start", "end", "name").iter_rows())
