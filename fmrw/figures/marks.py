"""Marks: rectangles, rules and texts from rows of `x, y, x2, y2`, each kind one layer of Vega-Lite.

A layer is a plain dictionary, as Vega-Lite's JSON has it, so that a figure made of such layers only is drawn where altair, which takes as long to
import as the figure to draw, is not there. `fmrw.figures.chart` makes altair's objects of them. Rows are plain dictionaries in the layer's own data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Row = dict[str, Any]
Layer = dict[str, Any]
_TYPES = {"Q": "quantitative", "N": "nominal"}


def inline(rows: Iterable[Row]) -> Any:  # noqa: ANN401 - altair's data is Any
    """Give rows as data of a layer; altair would check every row of its own `InlineData`, which takes longer than drawing them."""
    return {"values": tuple(rows)}  # altair copies lists deeply, row by row, with every step


def field(shorthand: str, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Give an encoding by a field, `field("x:Q")`, with a scale, an axis, a legend or a title."""
    name, _, kind = shorthand.rpartition(":")
    return {"field": name, "type": _TYPES[kind], **properties}


def expression(text: str) -> dict[str, str]:
    """Give a property whose value Vega computes."""
    return {"expr": text}


def layer(mark: str, rows: Iterable[Row], encoding: Mapping[str, Any] | None = None, **style: Any) -> Layer:  # noqa: ANN401 - JSON
    """Give a layer: rows drawn with one kind of mark, which keep within the chart and tell nothing when pointed at unless `style` says so."""
    made = {
        "data": inline(rows),
        "mark": {"type": mark, "clip": True, "tooltip": None} | style,
    }
    return made | ({"encoding": dict(encoding)} if encoding else {})


def _corners() -> dict[str, Any]:
    return {"x": field("x:Q"), "x2": {"field": "x2"}, "y": field("y:Q"), "y2": {"field": "y2"}}


def rectangles(rows: Iterable[Row], **style: Any) -> Layer:  # noqa: ANN401 - properties of Vega-Lite's mark
    """Draw filled rectangles, in the units of the axes."""
    return layer("rect", rows, _corners(), **style)


def rules(lines: Iterable[Sequence[float]], **style: Any) -> Layer:  # noqa: ANN401 - the same
    """Draw lines `x, y, x2, y2`, in the units of the axes."""
    rows = (dict(zip(("x", "y", "x2", "y2"), line, strict=True)) for line in lines)
    return layer("rule", rows, _corners(), **style)


def labels(rows: Sequence[Row], paper: str, fill: str, **style: Any) -> list[Layer]:  # noqa: ANN401 - the same
    """Write `label` at `x, y`, in the units of the axes, on a halo of paper that keeps it legible on anything."""
    encoding = {"x": field("x:Q"), "y": field("y:Q"), "text": field("label:N")}
    halo = {"stroke": paper, "strokeWidth": 3, "strokeJoin": "round"}
    return [layer("text", rows, encoding, **own, **style) for own in (halo, {"fill": fill})]


def swatches(rows: Iterable[Row]) -> Layer:
    """Paint rectangles `px, py, px2, py2` in points, each in its `fill`; they touch no scale."""
    return layer("rect", rows, **_values(x="px", y="py", x2="px2", y2="py2", fill="fill"), clip=False)


def captions(rows: Iterable[Row]) -> Layer:
    """Write `text` at `px, py` in points, in its own `size`, `weight`, `colour` and `align`; it touches no scale."""
    own = _values(
        x="px", y="py", text="text", fontSize="size", fontWeight="weight", fill="colour", align="align"
    )
    return layer("text", rows, **own, baseline="alphabetic", clip=False)


def _values(**columns: str) -> dict[str, Any]:
    """Let each row say a property of its mark."""
    return {name: expression(f"datum.{column}") for name, column in columns.items()}
