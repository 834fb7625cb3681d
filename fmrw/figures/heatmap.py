"""Heatmap: the file as a square of cells, coloured by how often their bytes were read or written.

    chart = heatmap(events, About("samples/debian.iso", 650_117_120))

A cell's number is the greatest number of times any one byte of it was read: 2 means that some byte was read twice. Reads that only
meet in a cell do not count twice. `grid` says which cell is where, `classes` how numbers become five colours, `page` what stands
around. A cell is filled with its class of reads. If it was written, its lower half shows the class of writes. A cell that nobody touched shows the background;
a cell beyond the end of the file shows hatching.

A cell holds a power of two of bytes, so that rows and columns stand at offsets that can be read; the grid has as many rows as the file fills.

Limits. At most 10,000 marks: a grid that needs more is drawn with half the side, and its caption says so. Offsets on the axis
are those of whole rows and exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fmrw.analysis.index.tiles import Index
from fmrw.errors import BadRange, FigureError
from fmrw.figures import cells, grid, gutter, marks, page, render
from fmrw.figures.captions import Box, Captions
from fmrw.figures.classes import Classes, Scale, times_text
from fmrw.figures.measure import shorten, wrap
from fmrw.figures.theme import SCREEN, Look
from fmrw.offsets import Annotation, hex_offset, human_size, range_text
from fmrw.text import percent
from fmrw.trace.exactness import nothing_text, untouched_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt
    import polars as pl
    from numpy.typing import NDArray

    from fmrw.figures.grid import Layout, Square
    from fmrw.figures.page import About

Show = Literal["both", "read", "write"]
OPS: dict[str, tuple[str, ...]] = {"both": ("read", "write"), "read": ("read",), "write": ("write",)}

MOST_MARKS = 10_000
_HALF = {False: (0.0, 1.0), True: (0.0, 0.46)}  # a read's part of its cell, without and with a write
_LOWER = (0.54, 1.0)


def heatmap(source: pl.DataFrame | Index, about: About, **options: Any) -> alt.LayerChart:  # noqa: ANN401 - those of `sheet`
    """Draw a heatmap as altair's chart, to be shown or changed; see `sheet`."""
    return sheet(source, about, **options).chart()


def sheet(
    source: pl.DataFrame | Index,
    about: About,
    *,
    side: int = 64,
    layout: Layout = "row-major",
    show: Show = "both",
    scale: Scale = "log",
    structure: pl.DataFrame | None = None,
    annotations: Sequence[Annotation] = (),
    look: Look = SCREEN,
) -> page.Sheet:
    """Draw a file as a square grid, coloured by how often the most-touched byte of each cell was touched.

    Parameters
    ----------
    source
        Events of ONE file, or an index of them.
    about
        The file and the session; processes and fidelity are taken from the events if `source` has them.
    side
        Cells per side, 16 to 256; a power of two for `layout="hilbert"`.
    layout
        "row-major", line by line from the top left, or "hilbert", neighbours in the file staying neighbours.
    show
        "both", "read" or "write".
    scale
        Classes of numbers: "log" or "linear".
    structure
        Named ranges of the format, `start, end, name, depth`, to show beside the rows; a curve has no rows, and shows none.
    annotations
        Ranges to outline and name.

    Raises
    ------
    FigureError
        Unknown layout, operation or scale, or a side that cannot be drawn.
    BadRange
        An annotation lies outside the file.
    """
    if show not in OPS or scale not in ("log", "linear"):
        raise FigureError(f"show={show!r}, scale={scale!r}: take both, read or write, and log or linear")
    check_annotations(annotations, about)
    about = about.seen_in(source)
    index = source if isinstance(source, Index) else Index.build(source)
    about = replace(about, requests=len(index) if about.requests is None else about.requests)
    square = grid.Square.rounded(about.size, side, layout)
    picture = _picture(index, square, OPS[show], scale)
    beside = gutter.Gutter.of(structure if layout == "row-major" else None, (), look)
    return _draw(picture, about, annotations, beside)


def heatmap_pdf(
    source: pl.DataFrame | Index, about: About, *, side: int = 64, annotations: Sequence[Annotation] = ()
) -> bytes:
    """Draw the heatmap that stands beside a file in a mount: one page, A4 landscape, also readable on a wall."""
    return render.pdf(sheet(source, about, side=side, annotations=annotations))


def check_annotations(annotations: Sequence[Annotation], about: About) -> None:
    """Refuse annotations outside the file."""
    for start, end, name in annotations:
        if not 0 <= start < end <= about.size:
            shown = shorten(name, 300, 10)
            raise BadRange(
                f"annotation {range_text(start, end)} '{shown}' lies outside the file: "
                f"it has {about.size:,} bytes, so stay within {range_text(0, about.size)}"
            )


@dataclass(frozen=True)
class Picture:
    """A grid, its counts and its classes, before anything is drawn."""

    square: Square
    counts: dict[str, NDArray[np.int64]]
    classes: Classes
    asked: int
    total: str
    halved: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The marks: rectangles in units of cells, with class and byte range."""
        return [row for op in self.counts for row in self._rows(op)]

    def _rows(self, op: str) -> list[dict[str, Any]]:
        order, number = self.square.order, self.classes.number(self.counts[op])
        other = self._written if op == "read" else np.zeros_like(number, bool)
        halved = op == "write" and len(self.counts) > 1
        made = []
        for row, x, x2, code in grid.runs(self.square, np.where(number > 0, number * 2 + other, 0)):
            upper, lower = _LOWER if halved else _HALF[bool(code % 2)]
            start, end = grid.bytes_of(self.square, row, x, x2, order)
            label = f"{op} {self.classes.label(code // 2)}"
            place = {"x": x, "x2": x2, "y": row + upper, "y2": row + lower}
            made.append({**place, "class": label, "bytes": range_text(start, end)})
        return made

    @property
    def _written(self) -> NDArray[np.bool_]:
        if "write" not in self.counts:
            return np.zeros(self.square.count, bool)
        return self.counts["write"] > 0


def _picture(index: Index, square: Square, ops: tuple[str, ...], scale: Scale) -> Picture:
    """Count, leaving out an operation that did not happen, in a grid that needs few enough marks."""
    counts = _counts(index, square, ops)
    most = max(int(each.max(initial=0)) for each in counts.values())
    picture = Picture(square, counts, Classes.of(most, scale), square.side, _total(index, square.size))
    if square.side > grid.SMALLEST and len(picture.rows) > MOST_MARKS:
        half = _picture(index, square.halved(), ops, scale)
        return replace(half, asked=square.side, halved=True)
    return picture


def _counts(index: Index, square: Square, ops: tuple[str, ...]) -> dict[str, NDArray[np.int64]]:
    """Say by operation how often the most-touched byte of each cell was touched; without writes, all are reads."""
    written = square.repeats(index, "write")
    counts = {"write": written, "read": square.repeats(index, "read" if written.any() else None)}
    return {op: counts[op] for op in ops if counts[op].any()} or {ops[0]: counts[ops[0]]}


def _total(index: Index, size: int) -> str:
    """Count accesses and the different bytes they touched. Bytes by operation would need an index for each."""
    window = (0, size, 1)
    whole, writes = index.bins(window), int(index.bins(window, op="write")["accesses"].item())
    accesses, distinct = int(whole["accesses"].item()), int(whole["distinct"].item())
    counted = ((accesses - writes, "read"), (writes, "write"))
    done = [f"{count:,} {op}{'' if count == 1 else 's'}" for count, op in counted if count] or ["none"]
    share = distinct / size if size else 0.0
    part = "less than 0.1%" if 0 < share < 0.001 else percent(share)  # noqa: PLR2004 - the digits shown
    return f"{' and '.join(done)}, of {distinct:,} different byte{'' if distinct == 1 else 's'}, {part} of the file"


def _draw(
    picture: Picture, about: About, annotations: Sequence[Annotation], beside: gutter.Gutter
) -> page.Sheet:
    look, square = beside.look, picture.square
    captions = Captions(look)
    times = times_text(picture.counts)
    top = page.title(captions, about, f"how often a byte of each cell was {times}")
    box, panel = _places(look, square, (top, page.footer(captions, about)), beside.width)
    _panel(captions, panel, picture, about, annotations)
    layers = [
        cells.ground(picture.square, look),
        _cells(picture, box, panel, look),
        cells.lines(picture.square, box, look),
        *cells.hatching(picture.square, look),
        *cells.annotated(picture.square, annotations, box, look),
        *cells.curve(picture.square, look),
        *beside.layers(box, lambda offset: offset / (square.cell * square.side), square.side),
    ]
    if not any(each.any() for each in picture.counts.values()):
        _nothing(captions, box, nothing_text(mapped=about.mapped))
    return page.Sheet(layers, captions, box, about, f"heatmap: how often a byte of each cell was {times}")


def _places(look: Look, square: Square, edges: tuple[float, float], right: float) -> tuple[Box, Box]:
    """Give the places of the grid and of the explanations, beside it, or below on upright paper; leave room to the grid's right."""
    top, bottom = edges
    left = look.margin + look.text * (2.2 + 0.55 * len(hex_offset(square.size)))
    above, below = top + look.text * 1.2, page.axis_room(look)
    if look.portrait:
        unit = min(look.width - left - look.margin - right, look.height * 0.5) / square.side
        under = above + unit * square.side + below + look.text
        return Box(left, above, unit * square.side, unit * square.side), Box(
            look.margin, under, look.width - 2 * look.margin, bottom - under
        )
    room = look.width - left - right - look.text * (2.2 + _PANEL) - look.margin
    unit = min((bottom - above - below) / square.side, min(room, look.width * _GRID) / square.side)
    beside = left + unit * square.side + right + look.text * 2.2
    return Box(left, above, unit * square.side, unit * square.side), Box(
        beside, above, look.width - look.margin - beside, bottom - above
    )


_PANEL = 11  # of the explanations, at least, in sizes of text
_GRID = 0.56  # of the page's width, at most


def _panel(
    captions: Captions, panel: Box, picture: Picture, about: About, annotations: Sequence[Annotation]
) -> None:
    """Explain what is seen: what is no colour, the grid, who and how."""
    text = captions.look.text
    title = len(_legend_title(picture, panel, captions.look))
    y = panel.top + text * (0.2 + 1.2 * title + 1.5 * len(picture.classes.lowest)) + text * 0.15
    captions.swatch(panel.left, y - text * 0.1, text, text, captions.look.palette.untouched)
    captions.text(
        panel.left + text * 1.3, y + text * 0.72, untouched_text(mapped=about.mapped), size=text * 0.9
    )
    if picture.square.used < picture.square.count:
        y += text * 1.42
        captions.text(panel.left, y + text * 0.72, "///", colour=captions.look.palette.faint)
        captions.text(panel.left + text * 1.3, y + text * 0.72, "beyond the end", size=text * 0.9)
    page.sections(captions, panel.below(y + text * 1.6), _facts(picture, about, annotations))


def _facts(picture: Picture, about: About, annotations: Sequence[Annotation]) -> list[tuple[str, list[str]]]:
    square = picture.square
    reduced = f", as {picture.asked} × {picture.asked} would be too many marks" if picture.halved else ""  # noqa: RUF001 - times
    cells_shown = f"{square.side} × {square.side} cells"  # noqa: RUF001 - times
    facts = [
        (cells_shown + reduced, [page.size_text(about.size), f"{human_size(square.cell)} per cell"]),
        ("Colour", [f"The most times any one byte of the cell was {times_text(picture.counts)}."]),
        ("Cell to bytes", [_formula(square)]),
        ("Accesses", [picture.total]),
        ("Processes", [page.process_text(about) or "unknown"]),
        ("Capture", [page.capture_text(about) or "unknown"]),
    ]
    named = [
        f"{number}  {shorten(name, 200, 10)}  {range_text(start, end)}"
        for number, (start, end, name) in enumerate(annotations, 1)
    ]
    return facts[:1] + ([("Marked", named)] if named else []) + facts[1:]


def _formula(square: Square) -> str:
    """Say which bytes a cell holds."""
    along = f"= {square.side}·row + column" if square.layout == "row-major" else "along Hilbert's curve"
    if square.cell == 1:
        return f"Cell n {along}, from 0, holds byte n."
    return f"Cell n {along}, from 0, holds {square.cell:,} bytes from {square.cell:,}·n."


def _cells(picture: Picture, box: Box, panel: Box, look: Look) -> marks.Layer:
    """Draw the runs, with axes, a legend that filters, and what hovering tells."""
    square = picture.square
    x_scale, y_scale = cells.scales(square)
    x_axis, y_axis = cells.axes(square)
    colour = {"scale": _colours(picture, look), "legend": _legend(picture, box, panel, look)}
    return {
        "data": marks.inline(picture.rows),
        "mark": {"type": "rect", "clip": True},
        "params": [
            {"name": "kind", "select": {"type": "point", "fields": ["class"]}, "bind": "legend"},
            {"name": "zoom", "select": {"type": "interval"}, "bind": "scales"},
        ],
        "encoding": {
            "x": marks.field("x:Q", scale=x_scale, axis=x_axis),
            "x2": {"field": "x2"},
            "y": marks.field("y:Q", scale=y_scale, axis=y_axis),
            "y2": {"field": "y2"},
            "color": marks.field("class:N", **colour),
            "opacity": {"condition": {"param": "kind", "value": 1}, "value": 0.08},
            "tooltip": [marks.field("bytes:N"), marks.field("class:N", title="times")],
        },
    }


def _colours(picture: Picture, look: Look) -> dict[str, Any]:
    ramps = {op: picture.classes.colours(look.palette.ramp(op)) for op in picture.counts}
    kinds = [(op, number) for op in picture.counts for number in range(len(picture.classes.lowest))]
    return {
        "domain": [f"{op} {picture.classes.label(number + 1)}" for op, number in kinds],
        "range": [ramps[op][number] for op, number in kinds],
    }


def _legend(picture: Picture, box: Box, panel: Box, look: Look) -> dict[str, Any] | None:
    if not any(each.any() for each in picture.counts.values()):
        return None
    return {
        "orient": "none",
        "legendX": round(panel.left - box.left, 2),
        "legendY": round(panel.top - box.top, 2),
        "title": _legend_title(picture, panel, look),
        "titleFontWeight": "bold",
        "titleLimit": 0,
        "columns": len(picture.counts),
        "columnPadding": look.text * 1.5,
        "rowPadding": look.text * 0.42,
        "symbolSize": look.text**2,
        "labelLimit": 0,
        "clipHeight": look.text,
    }


def _legend_title(picture: Picture, panel: Box, look: Look) -> list[str]:
    return wrap(
        f"times a byte was {times_text(picture.counts)}", panel.width, look.text, bold=True, font=look.font
    )


def _nothing(captions: Captions, box: Box, said: str) -> None:
    """Say on the figure itself that there is nothing to see."""
    look = captions.look
    size, middle = look.text * 1.4, box.left + box.width / 2
    width = size * 0.53 * len(said) + size
    y = box.top + box.height / 2
    captions.swatch(middle - width / 2, y - size * 1.3, width, size * 2, look.palette.paper)
    captions.text(middle, y, said, size=size, bold=True, align="center")
