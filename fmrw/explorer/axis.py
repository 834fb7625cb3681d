"""Offset axis: round offsets below a strip, none written over another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.offsets import hex_offset

if TYPE_CHECKING:
    from fmrw.explorer.canvas import Canvas
    from fmrw.explorer.layout import PanelLayout


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
