"""Captions: texts and swatches around a chart, cut or wrapped to the room there is.

They are two layers. Their positions are in points and touch no scale, so that the chart's own axes can zoom below them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fmrw.figures import marks
from fmrw.figures.measure import wrap
from fmrw.text import visible

if TYPE_CHECKING:
    from fmrw.figures.theme import Look


@dataclass(frozen=True)
class Box:
    """Where the chart itself stands on the page, in points from the top left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def below(self, y: float) -> Box:
        """Give the part of the box from `y` down."""
        return Box(self.left, y, self.width, self.bottom - y)


@dataclass
class Captions:
    """Texts and swatches around a chart; `x` and `y` are points from the page's top left."""

    look: Look
    texts: list[dict[str, Any]] = field(default_factory=list)
    swatches: list[dict[str, Any]] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float | None = None,
        bold: bool = False,
        colour: str = "",
        align: str = "left",
    ) -> None:
        """Write one line whose baseline is `y`."""
        self.texts.append(
            {
                "px": round(x, 2),
                "py": round(y, 2),
                "text": visible(text),
                "size": size or self.look.text,
                "weight": "bold" if bold else "normal",
                "colour": colour or self.look.palette.ink,
                "align": align,
            }
        )

    def paragraph(self, x: float, y: float, width: float, text: str, **style: Any) -> float:  # noqa: ANN401 - as for `text`
        """Write lines that fit into `width`, the first one below `y`; give the lower edge of the last."""
        size = style.get("size") or self.look.text
        for line in wrap(text, width, size, font=self.look.font):
            y += size * 1.32
            self.text(x, y, line, **style)
        return y

    def swatch(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """Paint a rectangle."""
        box = {"px": x, "py": y, "px2": x + width, "py2": y + height}
        self.swatches.append({key: round(value, 2) for key, value in box.items()} | {"fill": fill})

    def layers(self, box: Box) -> list[marks.Layer]:
        """Draw it all, relative to the chart's `box`."""
        texts = [_moved(text, box) for text in self.texts]
        swatches = [_moved(swatch, box) for swatch in self.swatches]
        return [
            *([marks.swatches(swatches)] if swatches else []),
            *([marks.captions(texts)] if texts else []),
        ]


def _moved(row: dict[str, Any], box: Box) -> dict[str, Any]:
    shift = {"px": box.left, "px2": box.left, "py": box.top, "py2": box.top}
    return {key: round(value - shift[key], 2) if key in shift else value for key, value in row.items()}
