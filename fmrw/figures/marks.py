"""Marks: rectangles, rules and texts from rows of `x, y, x2, y2`, each kind one altair layer.

Encodings are written as altair's classes everywhere, `alt.X("x:Q")`: to turn a text or dictionary into one, altair computes a hash of each of its
600 classes, 10 ms every time. Rows are plain dictionaries in the chart's own data. They are given as `{"values": …}`, since altair checks every row of
its own `InlineData`, which takes longer than drawing them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Row = dict[str, Any]


def inline(rows: Iterable[Row]) -> Any:  # noqa: ANN401 - altair's data is Any
    """Give rows as data of a chart."""
    return {"values": tuple(rows)}  # altair copies lists deeply, row by row, with every step


def _corners() -> tuple[alt.X, alt.X2, alt.Y, alt.Y2]:
    return alt.X("x:Q"), alt.X2("x2:Q"), alt.Y("y:Q"), alt.Y2("y2:Q")


def rectangles(rows: Iterable[Row], **style: Any) -> alt.Chart:  # noqa: ANN401 - properties of altair's mark
    """Draw filled rectangles, in the units of the axes."""
    style = {"clip": True, "tooltip": None} | style
    chart: alt.Chart = alt.Chart(inline(rows)).mark_rect(**style).encode(*_corners())
    return chart


def rules(lines: Iterable[Sequence[float]], **style: Any) -> alt.Chart:  # noqa: ANN401 - properties of altair's mark
    """Draw lines `x, y, x2, y2`, in the units of the axes."""
    rows = (dict(zip(("x", "y", "x2", "y2"), line, strict=True)) for line in lines)
    style = {"clip": True, "tooltip": None} | style
    chart: alt.Chart = alt.Chart(inline(rows)).mark_rule(**style).encode(*_corners())
    return chart


def labels(rows: Iterable[Row], paper: str, fill: str, **style: Any) -> list[alt.Chart]:  # noqa: ANN401 - properties of altair's mark
    """Write `label` at `x, y`, in the units of the axes, on a halo of paper that keeps it legible on anything."""
    style = {"clip": True, "tooltip": None} | style
    text = alt.Chart(inline(rows)).encode(alt.X("x:Q"), alt.Y("y:Q"), alt.Text("label:N"))
    halo = text.mark_text(stroke=paper, strokeWidth=3, strokeJoin="round", **style)
    return [halo, text.mark_text(fill=fill, **style)]


def swatches(rows: Iterable[Row]) -> alt.Chart:
    """Paint rectangles `px, py, px2, py2` in points, each in its `fill`; they touch no scale."""
    style: dict[str, Any] = {"fill": alt.expr("datum.fill"), "clip": False, "tooltip": None}
    chart: alt.Chart = alt.Chart(inline(rows)).mark_rect(**_places("px", "py", "px2", "py2"), **style)
    return chart


def captions(rows: Iterable[Row]) -> alt.Chart:
    """Write `text` at `px, py` in points, in its own `size`, `weight`, `colour` and `align`; it touches no scale."""
    style: dict[str, Any] = {
        "text": alt.expr("datum.text"),
        "fontSize": alt.expr("datum.size"),
        "fontWeight": alt.expr("datum.weight"),
        "fill": alt.expr("datum.colour"),
        "align": alt.expr("datum.align"),
    }
    chart: alt.Chart = alt.Chart(inline(rows)).mark_text(
        **_places("px", "py"), baseline="alphabetic", clip=False, tooltip=None, **style
    )
    return chart


def _places(*columns: str) -> dict[str, Any]:
    return {column[1:]: alt.expr(f"datum.{column}") for column in columns}
