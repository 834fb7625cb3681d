"""Layers of a heatmap under and over its coloured cells: background, lines, hatching, outlines, axes.

Everything is in units of cells, on the scales of the cells themselves, so that it zooms with them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from fmrw.figures import marks
from fmrw.figures.grid import outline, stretches
from fmrw.offsets import hex_offset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmrw.figures.captions import Box
    from fmrw.figures.grid import Square
    from fmrw.figures.theme import Look
    from fmrw.offsets import Annotation

_FINE = 128  # cells per side from which lines between them would be all one sees
_STROKES = 32  # at least that many strokes of hatching across an empty square
_GUIDE = 8  # points per side of the line that shows where Hilbert's curve goes


def scales(square: Square) -> tuple[dict[str, Any], dict[str, Any]]:
    """Count cells from the top left."""
    return (
        {"domain": [0, square.side], "nice": False, "zero": False},
        {"domain": [0, square.side], "nice": False, "zero": False, "reverse": True},
    )


def axes(square: Square) -> tuple[dict[str, Any], dict[str, Any]]:
    """Label whole rows by their offset and columns by the distance from it; a curve has no such axes."""
    if square.layout == "hilbert" or not square.size:
        bare = {"labels": False, "ticks": False, "domain": False, "grid": False, "title": None}
        return bare, bare
    held = -(-square.used // square.side)  # rows with bytes: what lies behind them has no offset
    rows = _ticks(square.side, 8, held, lambda place: hex_offset(square.start_of(place * square.side)))
    columns = _ticks(square.side, 4, square.side, lambda place: f"+{hex_offset(square.start_of(place))}")
    exact = (
        "offset in the row"
        if square.cell or square.size % square.count == 0
        else "offset in the row (± 1 byte)"
    )
    return {**columns, "title": exact}, {**rows, "title": "offset of the row"}


def _ticks(places: int, number: int, last: int, label: Callable[[int], str]) -> dict[str, Any]:
    """Mark about `number` places, a power of two apart, up to the last; labels are looked up, as Vega's numbers are not exact above 2⁵³."""
    step = 1 << max(0, (max(places, 1) // number).bit_length() - 1)
    values = list(range(0, last + 1, step))
    texts = json.dumps([label(place) for place in values])
    return {
        "values": values,
        "labelExpr": f"{texts}[datum.value / {step}]",
        "grid": False,
        "labelOverlap": "greedy",
    }


def ground(square: Square, look: Look) -> marks.Layer:
    """Paint the paper of untouched bytes: whole rows in one, and the row in which the file ends."""
    full, rest = divmod(square.used, square.side)
    spans = [(0, square.side, 0, full), (0, rest, full, full + 1)]
    if square.layout == "hilbert":
        used = square.order < square.used
        spans = [(x, x2, y, y + 1) for y, x, x2 in stretches(used)]
    rows = [dict(zip(("x", "x2", "y", "y2"), span, strict=True)) for span in spans if span[0] < span[1]]
    frame = {"stroke": look.palette.faint, "strokeWidth": 0.4, "strokeOpacity": 0.6}
    return marks.rectangles(rows, fill=look.palette.untouched, **frame)


def lines(square: Square, box: Box, look: Look) -> marks.Layer:
    """Part the cells by lines of paper, thin ones in a fine grid."""
    fine = square.side >= _FINE
    across = [(0.0, float(k), float(square.side), float(k)) for k in range(1, square.side) if not fine]
    down = [(float(k), 0.0, float(k), float(square.side)) for k in range(1, square.side) if not fine]
    width = min(1.5, box.width / square.side * 0.09)
    return marks.rules(across + down, stroke=look.palette.paper, strokeWidth=round(width, 2))


def hatching(square: Square, look: Look) -> list[marks.Layer]:
    """Hatch the cells beyond the end of the file, in strokes as long as they go."""
    fine = max(1, _STROKES // square.side)
    beyond = np.kron(np.flipud(square.order >= square.used), np.ones((fine, fine), bool))
    strokes = []
    for diagonal in range(1 - len(beyond), beyond.shape[1]):
        cells = np.diagonal(beyond, diagonal)[None, :]
        for _, first, last in stretches(cells):
            x, y = first + max(diagonal, 0), first + max(-diagonal, 0)
            stroke = (x, len(beyond) - y, x + last - first, len(beyond) - y - last + first)
            strokes.append(tuple(end / fine for end in stroke))
    return [marks.rules(strokes, stroke=look.palette.faint, strokeWidth=0.6, opacity=0.45)] if strokes else []


def annotated(square: Square, annotations: Sequence[Annotation], box: Box, look: Look) -> list[marks.Layer]:
    """Outline the cells of named ranges, and number them."""
    if not annotations:
        return []
    marked = [square.cells_of(start, end) for start, end, _ in annotations]
    lines = [line for cells in marked for line in outline(cells)]
    style: dict[str, Any] = {"strokeCap": "square", "strokeWidth": look.text * 0.16}
    places = _apart([np.argwhere(each)[0].tolist() for each in marked], square, box, look)
    rows = [{"x": x, "y": y, "label": str(number)} for number, (y, x) in enumerate(places, 1)]
    numbers: dict[str, Any] = {"align": "left", "baseline": "top", "dx": 3, "dy": 2, "fontWeight": "bold"}
    palette = look.palette
    return [
        marks.rules(lines, stroke=palette.accent, **style),
        *marks.labels(rows, palette.paper, palette.accent, fontSize=max(look.text, look.least), **numbers),
    ]


def _apart(
    places: Sequence[Sequence[float]], square: Square, box: Box, look: Look
) -> list[tuple[float, float]]:
    """Move numbers to the right, and into the next line, until none stands over another."""
    unit = box.width / square.side
    wide, high = look.text * 1.5 / unit, look.text * 1.2 / unit
    found: list[tuple[float, float]] = []
    for y, x in places:
        while any(abs(y - b) < high and abs(x - a) < wide for b, a in found):
            x += wide  # noqa: PLW2901 - a place that is free
            if x > square.side - wide:
                x, y = 0, y + high  # noqa: PLW2901 - the same
        found.append((y, x))
    return found


def curve(square: Square, look: Look) -> list[marks.Layer]:
    """Show where Hilbert's curve goes: its course between large blocks, and the offset at each quarter."""
    if square.layout != "hilbert" or square.side < _GUIDE * 2:
        return []
    block = square.side // _GUIDE
    order = square.order.reshape(_GUIDE, block, _GUIDE, block).min(axis=(1, 3))
    along = np.argsort(order, axis=None)
    points = [
        {"x": (x + 0.5) * block, "y": (y + 0.5) * block, "n": n}
        for n, (y, x) in enumerate(
            zip(*(each.tolist() for each in np.unravel_index(along, order.shape)), strict=True)
        )
    ]
    course = {"x": marks.field("x:Q"), "y": marks.field("y:Q"), "order": marks.field("n:Q")}
    line = {"stroke": look.palette.ink, "strokeWidth": look.text * 0.1, "opacity": 0.35}
    quarters = [
        {**point, "label": hex_offset(square.start_of(number * square.count // 4))}
        for number, point in enumerate(points[:: _GUIDE**2 // 4])
        if number * square.count // 4 < max(square.used, 1)
    ]
    style: dict[str, Any] = {"fontSize": look.label, "fontWeight": "bold", "clip": False}
    return [
        marks.layer("line", points, course, **line),
        *marks.labels(quarters, look.palette.paper, look.palette.ink, **style),
    ]
