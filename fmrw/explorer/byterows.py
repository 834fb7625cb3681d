"""Byte rows: the bytes of a short range with their colours, the parts that begin in it, and the marks on it; what the hex view shows.

Only what is visible is asked for. The colours are those of the picture (`Scene.colouring`), with bins of one byte; so whatever colours the chart,
colours the bytes in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fmrw.explorer.palette import ink_on
from fmrw.text import visible
from fmrw.trace.exactness import untouched_text

if TYPE_CHECKING:
    from fmrw.explorer.view import View
    from fmrw.figures.theme import Palette

MOST = 8_192
"""Bytes given at once."""

_MOST_PARTS = 400


@dataclass(frozen=True)
class Block:
    """Bytes and what is known of each.

    Attributes
    ----------
    content : bytes
        From `start` on.
    reads, writes : bytes
        One number for each byte: 0 where nothing touched it, else the number of its colour.
    parts : list of (offset, depth, name)
        Parts of the format that begin in the block.
    marks : list of (start, end, name)
        Annotations that share a byte with it.
    reason : str
        Why there are no bytes, or "".
    """

    start: int
    content: bytes
    reads: bytes
    writes: bytes
    parts: list[tuple[int, int, str]]
    marks: list[tuple[int, int, str]]
    reason: str = ""


def block(view: View, start: int, end: int) -> Block:
    """Give the bytes [start, end) of a view's file, at most `MOST`."""
    start = max(start, 0)
    end = min(end, view.recorded.size, start + MOST)
    if start >= end:
        return Block(start, b"", b"", b"", [], [], "" if view.recorded.size else "the file is empty")
    content, reason = view.recorded.file.content(start, end)
    reads, writes = (_numbers(view, start, end, op) for op in ("read", "write"))
    found = view.recorded.file.parts(start, end).sort("start", "depth")
    inside = [
        (low, depth, visible(name))
        for low, depth, name in found.select("start", "depth", "name").rows()
        if low >= start
    ]
    marks = [
        (each.start, each.end, visible(each.name))
        for each in view.annotations
        if each.start < end and each.end > start
    ]
    return Block(start, content or b"", reads, writes, inside[:_MOST_PARTS], marks, reason)


def _numbers(view: View, start: int, end: int, op: str) -> bytes:
    if op not in view.scene.ops:
        return bytes(end - start)
    edges = np.arange(start, end + 1, dtype=np.int64)
    return np.minimum(view.scene.colouring.numbers(edges, op), 255).astype(np.uint8).tobytes()


def look(view: View, palette: Palette) -> dict[str, object]:
    """Give the colours by number, for reads and writes, and the legend: background, ink."""
    scene = view.scene
    colours = scene.canvas.colours
    entries = [[colours[key] if key else "", label] for key, label in scene.colouring.entries()]
    keys = {op: scene.colouring.keys(op) if op in scene.ops else [] for op in ("read", "write")}
    return {
        "paper": palette.paper, "ink": palette.ink, "faint": palette.faint, "untouched": palette.untouched, "accent": palette.accent,
        "read": [[colours[key], ink_on(colours[key])] for key in keys["read"]],
        "write": [colours[key] for key in keys["write"]],
        "legend": [*entries, [palette.untouched, untouched_text(mapped=view.recorded.mapped)]],
    }  # fmt: skip
