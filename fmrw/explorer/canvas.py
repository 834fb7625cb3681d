"""Canvas: rectangles, lines and texts in points; what a view draws, before anybody knows how it is shown.

`chart` makes an altair chart of it, whose data are then replaced with each step, and `raster` a PNG.

Limits. Colours are keys of a fixed scale; a row is about 45 bytes as JSON, which keeps a step of 5,000 marks below 300 KB.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmrw.figures.captions import Box
    from fmrw.figures.theme import Look

Row = dict[str, Any]
DATASETS = ("rects", "lines", "texts")


@dataclass
class Canvas:
    """Marks in points from the page's top left, painted in the order they were added."""

    look: Look
    colours: Mapping[str, str]
    rects: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    texts: list[Row] = field(default_factory=list)

    def rect(self, x: float, y: float, x2: float, y2: float, key: str) -> None:
        """Paint a rectangle in the colour of a key."""
        self.rects.append(
            {"x": round(x, 1), "y": round(y, 1), "X": round(x2, 1), "Y": round(y2, 1), "k": key}
        )

    def line(self, x: float, y: float, x2: float, y2: float, key: str, *, width: float = 1) -> None:
        """Draw a line `width` points wide."""
        row = {"x": round(x, 1), "y": round(y, 1), "X": round(x2, 1), "Y": round(y2, 1), "k": key}
        self.lines.append(row | {"w": width})

    def text(
        self, x: float, y: float, text: str, key: str = "ink", *, size: float = 1, align: str = "left", bold: bool = False
    ) -> None:  # fmt: skip
        """Write one line with its baseline at `y`; `size` is in units of the look's text."""
        style = {"s": round(self.look.text * size, 1), "a": align, "b": "bold" if bold else "normal"}
        self.texts.append({"x": round(x, 1), "y": round(y, 1), "t": visible(text), "k": key, **style})

    def frame(self, box: Box, key: str, width: float = 1) -> None:
        """Draw the four edges of a box."""
        left, right, top, bottom = box.left, box.right, box.top, box.bottom
        for x, y, x2, y2 in (
            (left, top, right, top),
            (left, bottom, right, bottom),
            (left, top, left, bottom),
            (right, top, right, bottom),
        ):
            self.line(x, y, x2, y2, key, width=width)

    @property
    def datasets(self) -> dict[str, list[Row]]:
        """The rows by name of the dataset."""
        return {name: getattr(self, name) for name in DATASETS}

    @property
    def marks(self) -> int:
        """How many there are."""
        return sum(len(rows) for rows in self.datasets.values())

    @property
    def size(self) -> int:
        """Bytes they take as JSON, as a widget message carries them."""
        return len(json.dumps(self.updates(0), separators=(",", ":")))

    def updates(self, number: int) -> list[Row]:
        """Give what replaces the datasets of a running view; the number makes equal updates differ, so that they are sent."""
        sent = [
            {"namespace": "data", "name": name, "scope": [], "value": rows}
            for name, rows in self.datasets.items()
        ]
        size = (("width", self.look.width), ("height", self.look.height))
        sides = [{"namespace": "signal", "name": name, "scope": [], "value": side} for name, side in size]
        return [*sides, *sent, {"namespace": "number", "value": number}]
