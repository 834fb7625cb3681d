"""Canvas: rectangles, lines and texts in points; what a view draws, before anybody knows how it is shown.

A live chart draws it (`vega`, `widgets.live_chart`), `chart` makes an altair chart of it, and `raster` a PNG.

Limits. Colours are keys of a fixed scale; a row is about 25 bytes of a message, which keeps a step of 10,000 marks below 300 KB.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
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
    """Marks in points from the page's top left, painted in the order they were added.

    `stands` tells pictures apart in which other bytes lie under a point; gestures name the one they were made on.
    """

    look: Look
    colours: Mapping[str, str]
    lines: list[Row] = field(default_factory=list)
    texts: list[Row] = field(default_factory=list)
    stands: str = ""
    _boxes: list[Places] = field(default_factory=list)  # in pieces: one row each for few, arrays of many
    _few: list[tuple[float, float, float, float, int]] = field(default_factory=list)

    def rect(self, x: float, y: float, x2: float, y2: float, key: str) -> None:
        """Paint a rectangle in the colour of a key."""
        self._few.append((x, y, x2, y2, self._places[key]))

    def many(self, edges: Sequence[Places], keys: Sequence[str], which: NDArray[np.integer]) -> None:
        """Paint rectangles.

        Parameters
        ----------
        edges
            Their left, top, right and bottom.
        keys, which
            Colours, and the place among these of each rectangle's.
        """
        colours = np.array([self._places[key] for key in keys], np.float64)[which]
        self._boxes += [self._taken(), np.column_stack([*edges, colours])]

    def _taken(self) -> Places:
        """Give the rectangles that were painted one by one, and forget them."""
        few, self._few = self._few, []
        return np.array(few, np.float64).reshape(-1, 5)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self.colours)}

    @property
    def boxes(self) -> Places:
        """The rectangles, one per row: left, top, right, bottom, and the place of its colour among `colours`."""
        self._boxes = [np.concatenate([*self._boxes, self._taken()])]
        return np.round(self._boxes[0], 1)

    @property
    def rects(self) -> list[Row]:
        """The rectangles as rows: `x`, `y`, `X`, `Y`, `k`."""
        keys = list(self.colours)
        return [{"x": x, "y": y, "X": x2, "Y": y2, "k": keys[int(place)]} for x, y, x2, y2, place in self.boxes.tolist()]  # fmt: skip

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
        return len(self.boxes) + len(self.lines) + len(self.texts)

    @property
    def message(self) -> str:
        """What a live chart is sent, as JSON: values of the `signals`, and of each of the `data` sets the rows without names."""
        palette = self.look.palette
        signals: dict[str, Any] = {
            "width": self.look.width,
            "height": self.look.height,
            "paper": palette.paper,
            "accent": palette.accent,
            "stands": self.stands,
            "keys": list(self.colours),
            "colours": list(self.colours.values()),
        }
        keys = signals["keys"]
        data = {name: [list(row.values()) for row in getattr(self, name)] for name in ("lines", "texts")}
        data["rects"] = [[x, y, x2, y2, keys[int(place)]] for x, y, x2, y2, place in self.boxes.tolist()]
        return json.dumps({"signals": signals, "data": data}, separators=(",", ":"))


def note(line: str) -> Canvas:
    """Write one line on no ground, in a grey that is read on light and dark ones."""
    look = Look(width=600, height=24, text=13, palette=replace(LIGHT, paper="transparent"))
    made = Canvas(look, {"grey": _GREY})
    made.text(4, 17, line, "grey")
    return made


_GREY = "#767b84"
