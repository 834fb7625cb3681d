"""Canvas: rectangles, lines and texts in points; what a view draws, before anybody knows how it is shown.

A live chart draws it (`vega`, `widgets.live_chart`), `chart` makes an altair chart of it, and `raster` a PNG.

Limits. Colours are keys of a fixed scale; a row is about 25 bytes of a message, which keeps a step of 10,000 marks below 300 KB.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fmrw.figures.theme import LIGHT, Look
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fmrw.figures.captions import Box

    Places = NDArray[np.floating[Any]]

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

    def many(self, x: Places, y: Places, x2: Places, y2: Places, keys: Sequence[str]) -> None:
        """Paint rectangles, each in the colour of its key."""
        edges = (np.round(each, 1).tolist() for each in (x, y, x2, y2))
        named = zip(*edges, keys, strict=True)
        self.rects += [dict(zip(("x", "y", "X", "Y", "k"), row, strict=True)) for row in named]

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
    def message(self) -> str:
        """What a live chart is sent, as JSON: values of the `signals`, and of each of the `data` sets the rows without names."""
        palette = self.look.palette
        signals = {
            "width": self.look.width,
            "height": self.look.height,
            "paper": palette.paper,
            "accent": palette.accent,
            "keys": list(self.colours),
            "colours": list(self.colours.values()),
        }
        data = {name: [list(row.values()) for row in rows] for name, rows in self.datasets.items()}
        return json.dumps({"signals": signals, "data": data}, separators=(",", ":"))


def note(line: str) -> Canvas:
    """Write one line on no ground, in a grey that is read on light and dark ones."""
    look = Look(width=600, height=24, text=13, palette=replace(LIGHT, paper="transparent"))
    made = Canvas(look, {"grey": _GREY})
    made.text(4, 17, line, "grey")
    return made


_GREY = "#767b84"
