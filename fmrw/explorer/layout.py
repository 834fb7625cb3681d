"""Layout: where the parts of the picture stand, and which bytes lie under a point (hit test). Arithmetic only.

┌ overview: the whole file, the window marked ────────────────┐
└──────────────────────────────────────────────────────────────┘
┌ grid ────┐        ┌ stack: tracks of the window, ────────────┐
│ of the   │  names │ one offset axis for all:                 │
│ window   │        │ structure, reads, writes, never read,    │
│          │        │ processes, and time downwards            │
└──────────┘        └───────────────────────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fmrw.figures.page import Box

if TYPE_CHECKING:
    from fmrw.figures.grid import Square
    from fmrw.figures.theme import Look

Window = tuple[int, int]

_GUTTER = 10.5  # units of text between grid and stack, for the names of the tracks
_GRID_SHARE = 0.42
_BELOW = 3.8  # units of text below grid and stack: notes, and two lines of legend
_UPPER = 0.52  # of upright paper, for the grid


@dataclass(frozen=True)
class Spot:
    """The bytes under a point, and the panel it lies in; `share` is how far down the panel."""

    panel: str
    start: int
    end: int
    share: float


@dataclass(frozen=True)
class PanelLayout:
    """The boxes of the panels and what they show."""

    size: int
    window: Window
    square: Square
    overview: Box
    grid: Box
    stack: Box

    @classmethod
    def of(cls, look: Look, size: int, window: Window, square: Square) -> PanelLayout:
        """Divide a page."""
        text, margin = look.text, look.text * 1.2
        wide = look.width - 2 * margin
        overview = Box(margin, margin + text * 4.2, wide, text * 3.2)
        top, bottom = overview.bottom + text * 3.4, look.height - margin - text * _BELOW
        if look.portrait:
            side, left = min(wide, (bottom - top) * _UPPER), margin + text * _GUTTER
            stack = Box(left, top + side + text * 3, margin + wide - left, bottom - top - side - text * 3)
        else:
            side = min(bottom - top, wide * _GRID_SHARE)
            left = margin + side + text * _GUTTER
            stack = Box(left, top, margin + wide - left, bottom - top)
        return cls(size, window, square, overview, Box(margin, top, side, side), stack)

    @property
    def key(self) -> str:
        """The same for two layouts in which the same bytes lie under every point."""
        boxes = (
            f"{box.left:g},{box.top:g},{box.width:g},{box.height:g}"
            for box in (self.overview, self.grid, self.stack)
        )
        return f"{self.size} {self.window} {self.square.side} {self.square.layout} {' '.join(boxes)}"

    @property
    def length(self) -> int:
        """Bytes in the window."""
        return self.window[1] - self.window[0]

    def columns(self, panel: str) -> int:
        """How many bins a strip is cut into: one per two points, and never more than bytes."""
        box, length = (self.overview, self.size) if panel == "overview" else (self.stack, self.length)
        return max(1, min(int(box.width / 2), length))

    def x(self, offset: int, panel: str = "stack") -> float:
        """Give where an offset stands, within the panel."""
        (start, end), box = self.strip(panel)
        return box.left + min(max((offset - start) / max(end - start, 1), 0.0), 1.0) * box.width

    def strip(self, panel: str) -> tuple[Window, Box]:
        """Give the bytes along a panel, and its box."""
        return ((0, self.size), self.overview) if panel == "overview" else (self.window, self.stack)

    def panel(self, x: float, y: float) -> str | None:
        """Name the panel at a point."""
        for name in ("overview", "grid", "stack"):
            box: Box = getattr(self, name)
            if box.left <= x <= box.right and box.top <= y <= box.bottom:
                return name
        return None

    def beside(self, x: float, y: float) -> str | None:
        """Name the panel at a point, or the strip whose rows it stands beside: where the names of tracks are, or at the page's edge."""
        if found := self.panel(x, y):
            return found
        if self.overview.top <= y <= self.overview.bottom:
            return "overview"
        left_of_grid = x < self.grid.left and y <= self.grid.bottom
        return "stack" if self.stack.top <= y <= self.stack.bottom and not left_of_grid else None

    def spot(self, x: float, y: float, panel: str | None = None) -> Spot | None:
        """Give the bytes at a point; of a named panel also when the point lies beside it."""
        panel = panel or self.panel(x, y)
        if panel is None or not self.size:
            return None
        box: Box = getattr(self, panel)
        x, y = min(max(x, box.left), box.right - 1e-6), min(max(y, box.top), box.bottom - 1e-6)
        share = (y - box.top) / box.height
        if panel == "grid":
            found = self._cell((x - box.left) / box.width, share)
            return None if found is None else Spot(panel, *found, share)
        start, end = self.strip(panel)[0]
        column, columns = int((x - box.left) / box.width * self.columns(panel)), self.columns(panel)
        low, high = (start + (end - start) * number // columns for number in (column, column + 1))
        return Spot(panel, low, max(high, low + 1), share)

    def _cell(self, across: float, down: float) -> Window | None:
        side = self.square.side
        cell = int(self.square.order[int(down * side), int(across * side)])
        start, end = self.square.start_of(cell), self.square.start_of(cell + 1)
        return (self.window[0] + start, self.window[0] + end) if end > start else None

    def dragged(self, x: float, y: float, x2: float, y2: float) -> Window | None:
        """Give the bytes between two points; the panel of the first one counts, or that beside it."""
        panel = self.beside(x, y)
        first = self.spot(x, y, panel) if panel else None
        last = self.spot(x2, y2, panel) if panel else None
        if panel == "grid" and first and not last:  # beyond the end of the file
            return first.start, self.window[1]
        if first is None or last is None:
            return None
        return min(first.start, last.start), max(first.end, last.end)

    def offset(self, x: float, y: float) -> int | None:
        """Give one offset at a point; beside a strip, where it begins or ends."""
        if found := self.spot(x, y):
            return (found.start + found.end) // 2
        panel = self.beside(x, y)
        if panel in (None, "grid") or not self.size:
            return None
        (start, end), box = self.strip(str(panel))
        return start if x < box.left else end
