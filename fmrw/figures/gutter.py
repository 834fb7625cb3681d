"""Gutter: what stands to the right of a chart whose offsets go downwards; the parts of a format as narrow bars, and names.

Everything is placed by the chart's own scale, so that it moves with the chart when that is zoomed, and is cut where the chart is. A name of a marked range
stands as near to its range as others let it; that of a part only where the part is high enough and nothing else stands.

Limits. One bar for each of two formats, of their outermost parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fmrw.figures import marks
from fmrw.figures.measure import shorten, widest
from fmrw.figures.overlays import PART, format_tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from fmrw.figures.captions import Box
    from fmrw.figures.overlays import Track
    from fmrw.figures.theme import Look
    from fmrw.offsets import Annotation

_BARS = 2
_BAR, _GAP = 0.9, 0.35  # in sizes of text
_NAMES = 0.2  # of the page's width, at most
_LINE = 1.2


@dataclass(frozen=True)
class Gutter:
    """What is shown beside a chart.

    Parameters
    ----------
    bars
        A track for each format.
    annotations
        Marked ranges, whose names stand here.
    look
        Of the figure.
    """

    bars: Sequence[Track]
    annotations: Sequence[Annotation]
    look: Look

    @classmethod
    def of(cls, structure: pl.DataFrame | None, annotations: Sequence[Annotation], look: Look) -> Gutter:
        """Choose what is shown: a bar for each format, the names of marked ranges."""
        return cls([track for track in format_tracks(structure) if track.name][:_BARS], annotations, look)

    @property
    def width(self) -> float:
        """Room it needs, in points; 0 where there is nothing to show."""
        names = [name for _, _, name in self.annotations]
        names += [span.label for bar in self.bars for span in bar.spans]
        if not names:
            return 0
        room = min(widest(names, self.look.label, font=self.look.font), self.look.width * _NAMES)
        return self._names + room

    @property
    def _names(self) -> float:
        return self.look.text * (_GAP + len(self.bars) * (_BAR + 0.15) + 0.3)

    def layers(self, box: Box, place: Callable[[int], float], top: float) -> list[marks.Layer]:
        """Draw it.

        Parameters
        ----------
        box
            Where the chart stands.
        place
            From an offset to the chart's vertical axis.
        top
            Where that axis ends; it begins at 0, above.
        """
        if not self.width:
            return []
        return [*self._drawn_bars(box, place), *self._written(box, place, top)]

    def _drawn_bars(self, box: Box, place: Callable[[int], float]) -> list[marks.Layer]:
        text = self.look.text
        rows: list[marks.Row] = []
        for number, bar in enumerate(self.bars):
            x = round(box.width + text * (_GAP + number * (_BAR + 0.15)), 2)
            for span in bar.spans:
                fill = self.look.palette.parts[span.kind != PART]
                ends = {"from": place(span.start), "to": place(span.end)}
                rows.append({**ends, "left": x, "right": round(x + text * _BAR, 2), "fill": fill})
        if not rows:
            return []
        style: dict[str, Any] = {
            "x": marks.expression("datum.left"),
            "x2": marks.expression("datum.right"),
            "y": _inside("datum.from"),
            "y2": _inside("datum.to"),
            "fill": marks.expression("datum.fill"),
        }
        return [marks.layer("rect", rows, **style, clip=False)]

    def _written(self, box: Box, place: Callable[[int], float], top: float) -> list[marks.Layer]:
        unit, line = box.height / top, self.look.label * _LINE
        palette = self.look.palette
        taken: list[float] = []
        names = []
        for start, end, name in sorted(self.annotations):
            middle = (place(start) + place(end)) / 2 * unit
            y = _free(middle, taken, line, box.height)
            if y is not None:
                names.append((name, (place(start) + place(end)) / 2, y - middle, palette.accent))
                taken.append(y)
        spans = sorted((span for bar in self.bars for span in bar.spans), key=lambda s: s.start - s.end)
        for span in spans:
            low, high = place(span.start) * unit, place(span.end) * unit
            y = (low + high) / 2
            if high - low >= line and all(abs(y - other) >= line for other in taken):
                names.append((span.label, (place(span.start) + place(span.end)) / 2, 0.0, palette.ink))
                taken.append(y)
        if not names:
            return []
        room = self.width - self._names + 1
        rows = [
            {
                "at": at,
                "shift": round(shift, 2),
                "label": shorten(name, room, self.look.label, font=self.look.font),
                "fill": fill,
            }
            for name, at, shift, fill in names
        ]
        seen = marks.expression("scale('y', datum.at) >= 0 && scale('y', datum.at) <= height ? 1 : 0")
        style: dict[str, Any] = {
            "x": box.width + self._names,
            "y": marks.expression("scale('y', datum.at) + datum.shift"),
            "text": marks.expression("datum.label"),
            "fill": marks.expression("datum.fill"),
            "opacity": seen,
            "fontSize": self.look.label,
        }
        return [marks.layer("text", rows, **style, align="left", baseline="middle", clip=False)]


def _inside(value: str) -> dict[str, str]:
    return marks.expression(f"clamp(scale('y', {value}), 0, height)")


def _free(wanted: float, taken: Sequence[float], line: float, height: float) -> float | None:
    """Find the nearest place for a line of text; None where all are taken."""
    places = [wanted, *(other + line * side for other in taken for side in (1, -1))]
    low, high = line / 2, max(height - line / 2, line / 2)
    free = [
        min(max(place, low), high)
        for place in places
        if all(abs(min(max(place, low), high) - other) >= line * 0.999 for other in taken)
    ]
    return min(free, key=lambda place: abs(place - wanted), default=None)
