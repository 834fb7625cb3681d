"""Scatter plots: offset against time (`timeline`), and offset against the order of accesses (`access_order`).

Few accesses have one mark each. Of more, those of one handle that continue each other become one line. Of even more, the plane is
cut into tiles, and a tile that was touched is marked. The figure says which (`thinning`). If both happened, reads and writes have a
half of the plane each. Offsets go downwards, as in a heatmap and in a hex dump.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import altair as alt
import polars as pl

from fmrw.figures import functions as by
from fmrw.figures import gutter, marks, page, thinning, wide
from fmrw.figures.captions import Box, Captions
from fmrw.figures.heatmap import check_annotations
from fmrw.figures.runs import run_colours
from fmrw.figures.theme import SCREEN, Look
from fmrw.offsets import hex_offset
from fmrw.text import visible
from fmrw.trace.schema import transfers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmrw.figures.functions import Functions
    from fmrw.figures.page import About
    from fmrw.offsets import Annotation

Across = Literal["time", "order"]

_TITLES = {"time": "seconds since the first access", "order": "number of the access"}
_PROCESSES = 6
_OTHERS = "others"
_COLUMNS = ("seq", "time", "op", "start", "end", "fidelity", "handle", "pid", "process")


def timeline(
    events: pl.DataFrame,
    about: About,
    *,
    structure: pl.DataFrame | None = None,
    annotations: Sequence[Annotation] = (),
    functions: Functions | None = None,
    look: Look = SCREEN,
) -> alt.LayerChart:
    """Draw which offsets were accessed when, a colour per process.

    Parameters
    ----------
    events
        Events of ONE file.
    about
        The file and the session.
    structure
        Named ranges of the format, `start, end, name, depth`, to show beside the plane.
    annotations
        Ranges to mark across the plane.
    functions
        Colour by these and no longer by the process; the pointer says the chain of an access.
    """
    return _plot(events, about, "time", gutter.Gutter.of(structure, annotations, look), functions)


def access_order(
    events: pl.DataFrame,
    about: About,
    *,
    structure: pl.DataFrame | None = None,
    annotations: Sequence[Annotation] = (),
    functions: Functions | None = None,
    look: Look = SCREEN,
) -> alt.LayerChart:
    """Draw which offsets were accessed in which order; thin lines are seeks, from the end of an access to the next.

    Parameters
    ----------
    events
        Events of ONE file.
    about
        The file and the session.
    structure
        Named ranges of the format, `start, end, name, depth`, to show beside the plane.
    annotations
        Ranges to mark across the plane.
    functions
        Colour by these and no longer by the process; the pointer says the chain of an access.
    """
    return _plot(events, about, "order", gutter.Gutter.of(structure, annotations, look), functions)


@dataclass(frozen=True)
class _Plane:
    """The coordinates: offset, downwards, plus `drop` for writes where reads lie above."""

    size: int
    ops: tuple[str, ...]
    across: Across
    last: float
    drop: float = 0

    def parted(self, height: float, gap: float) -> _Plane:
        """Give each operation a half of a plane so many points high, with a gap between them for a line of text."""
        half = max((height - gap) / 2, 1)
        return replace(self, drop=self.size * (half + gap) / half if len(self.ops) > 1 else 0)

    @property
    def top(self) -> float:
        return max(self.drop + self.size, 1)

    def y(self, row: pl.Expr) -> pl.Expr:
        return row + pl.when(pl.col("op") == "write").then(self.drop).otherwise(0.0)


def _plot(
    events: pl.DataFrame,
    about: About,
    across: Across,
    beside: gutter.Gutter,
    functions: Functions | None,
) -> alt.LayerChart:
    annotations, look = beside.annotations, beside.look
    check_annotations(annotations, about)
    about = about.seen_in(events)
    columns = _COLUMNS if functions is None else (*_COLUMNS, "site")
    kind = None if functions is None else functions.kind(look.palette)
    moved = _placed(transfers(events.select(columns)), across, kind)
    ops = tuple(op for op in ("read", "write") if (moved["op"] == op).any()) or ("read",)
    plane = _Plane(about.size, ops, across, moved["t2"].max() or 1)  # type: ignore[arg-type] # a number
    shown = thinning.thin(moved, about.size, plane.last, wide.MOST_MARKS // 2)
    if functions is not None:
        several = pl.col("kind").replace(thinning.SEVERAL, by.SEVERAL)
        shown = replace(shown, rows=shown.rows.with_columns(several))
    kinds = _colours(sorted(shown.rows["kind"].unique().to_list()), about, look, functions)
    captions = Captions(look)
    seeks = across == "order" and shown.seeks.height
    notes = [
        shown.note,
        "grey lines are seeks" if seeks else "",
        page.capture_text(about),
        "thin marks are pages" if about.page else "",
    ]
    what = "offset against time" if across == "time" else "offset against the order of accesses"
    left = look.text * (2.6 + 0.55 * len(hex_offset(about.size)))
    box = wide.place(
        captions,
        about,
        what,
        notes,
        left=left,
        kinds=kinds,
        right=beside.width,
        above=look.text * 1.2 if len(ops) > 1 else 0,
    )
    plane = plane.parted(box.height, look.text * 1.4)
    _halves(captions, plane, box)
    layers: list[marks.Layer | alt.Chart] = [
        _ground(plane, look),
        *_bands(plane, annotations, look),
        *_seeks(shown.seeks, plane, look, across),
        _accesses(shown, plane, kinds, box, look, functions=functions),
        *beside.layers(box, float, plane.top),
    ]
    return page.assemble(layers, captions, box, about, what)


def _colours(kinds: Sequence[str], about: About, look: Look, functions: Functions | None) -> dict[str, str]:
    """Give each program, or each function, its colour; who is no single one is grey."""
    if functions is not None:
        return {kind: colour for kind, colour in functions.colours(look.palette).items() if kind in kinds}
    grey = {kind: look.palette.several for kind in kinds if kind in (thinning.SEVERAL, _OTHERS)}
    return run_colours((kind for kind in kinds if kind not in grey), about, look) | grey


def _placed(moved: pl.DataFrame, across: Across, kind: pl.Expr | None) -> pl.DataFrame:
    """Add `t`, `t2`, where an access stands across, and `kind`, the process or function it is coloured by."""
    moved = moved if moved["seq"].is_sorted() else moved.sort("seq")
    order = pl.int_range(pl.len(), dtype=pl.Int64).cast(pl.Float64)
    seconds = (pl.col("time") - pl.col("time").min()).dt.total_microseconds() / 1e6
    placed = moved.with_columns(
        t=seconds if across == "time" else order, kind=_kind(moved) if kind is None else kind
    )
    return placed.with_columns(t2="t")


def _kind(moved: pl.DataFrame) -> pl.Expr:
    """Name the busiest processes; comparing with each is several times as fast as making a name of every row."""
    pairs = moved.group_by("process", "pid").len().with_columns(pl.col("process").cast(pl.String))
    ranked = pairs.sort("len", "process", "pid", descending=[True, False, False])
    shown = ranked.head(_PROCESSES).select("process", "pid").rows()
    names = [visible(f"{name} [{pid}]") for name, pid in shown]
    named = pl.Enum([*dict.fromkeys([*names, _OTHERS])])
    kind = pl.lit(_OTHERS, named)
    for name, (process, pid) in zip(names, shown, strict=True):
        own = pl.col("process").eq_missing(process) & pl.col("pid").eq_missing(pid)
        kind = pl.when(own).then(pl.lit(name, named)).otherwise(kind)
    return kind


def _ground(plane: _Plane, look: Look) -> marks.Layer:
    tops = [0.0, plane.drop] if plane.drop else [0.0]
    rows = [{"x": 0, "x2": plane.last, "y": low, "y2": low + plane.size} for low in tops]
    return marks.rectangles(rows, fill=look.palette.untouched, opacity=0.55)


def _halves(captions: Captions, plane: _Plane, box: Box) -> None:
    """Say which half is which, where there are two."""
    text = captions.look.text
    for number, op in enumerate(plane.ops if plane.drop else ()):
        y = box.top + number * box.height * plane.drop / plane.top - text * 0.3
        captions.text(box.right, y, f"{op}s", bold=True, colour=captions.look.palette.faint, align="right")


def _bands(plane: _Plane, annotations: Sequence[Annotation], look: Look) -> list[marks.Layer]:
    if not annotations:
        return []
    lows = [0.0, plane.drop] if plane.drop else [0.0]
    rows = [
        {"x": 0, "x2": plane.last, "y": low + start, "y2": low + end}
        for low in lows
        for start, end, _ in annotations
    ]
    return [marks.rectangles(rows, fill=look.palette.accent, opacity=0.16)]


def _seeks(seeks: pl.DataFrame, plane: _Plane, look: Look, across: Across) -> list[marks.Layer]:
    if across != "order" or seeks.is_empty():
        return []
    lines = seeks.select("t", plane.y(pl.col("from")).alias("y"), "t2", plane.y(pl.col("to")).alias("y2"))
    return [marks.rules(lines.rows(), stroke=look.palette.faint, strokeWidth=0.5, opacity=0.55)]


def _accesses(
    thinned: thinning.Thinned,
    plane: _Plane,
    kinds: Mapping[str, str],
    box: Box,
    look: Look,
    *,
    functions: Functions | None,
) -> alt.Chart:
    """Draw lines from begin to end; a short one still shows as a dot."""
    shown = thinned.rows
    rows = shown.select(
        "kind", "op", "page", *(["site"] if functions else []),
        x="t", x2="t2", y=plane.y(pl.col("start")), y2=plane.y(pl.col("end")),
        bytes=pl.format("{}-{}", *(pl.col(edge).map_elements(hex_offset, pl.String) for edge in ("start", "end"))),
    )  # fmt: skip
    chosen = wide.choose()
    zoom = alt.selection_interval(name="zoom", bind="scales")
    columns = thinned.columns
    thick = round(box.width / columns if columns else max(1.6, look.text * 0.22), 2)
    fold = (
        f"datum.value >= {plane.drop} ? datum.value - {plane.drop} : datum.value"
        if plane.drop
        else "datum.value"
    )
    y_axis = wide.byte_axis("y", "offset", labelExpr=f"'0x' + format({fold}, 'x')", **_y_values(plane))
    drawn = alt.Chart(marks.inline(rows.to_dicts()))
    asked = [alt.Tooltip("chain:N", title="asked by")] if functions else []
    if functions is not None:
        chains = [{"site": site, "chain": functions.chain(site)} for site in rows["site"].unique()]
        drawn = drawn.transform_lookup(
            lookup="site", from_=alt.LookupData(data=marks.inline(chains), key="site", fields=["chain"])
        )
    chart: alt.Chart = (
        drawn.mark_rule(clip=True, strokeCap="butt" if columns else "round")
        .encode(
            x=alt.X(
                "x:Q",
                scale=alt.Scale(domain=[0, plane.last], nice=False, padding=6),
                axis=alt.Axis(
                    title=_TITLES[plane.across],
                    grid=False,
                    labelSeparation=look.label * 0.6,
                    labelOverlap="greedy",
                    **_x_ticks(plane, max(2, int(box.width / (look.label * 5)))),
                ),
            ),
            x2=alt.X2("x2:Q"),
            y=alt.Y("y:Q", scale=alt.Scale(domain=[0, plane.top], nice=False, reverse=True), axis=y_axis),
            y2=alt.Y2("y2:Q"),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=list(kinds), range=list(kinds.values())),
                legend=wide.legend(kinds, box, look, symbolType="stroke", symbolStrokeWidth=look.text * 0.4),
            ),
            opacity=alt.OpacityValue(**alt.condition(chosen, alt.value(1), alt.value(0.06))),
            strokeWidth=alt.StrokeWidthValue(
                **alt.condition("datum.page", alt.value(thick / 2), alt.value(thick))
            ),
            tooltip=[alt.Tooltip("bytes:N"), alt.Tooltip("op:N"), alt.Tooltip("kind:N"), *asked],
        )
        .add_params(chosen, zoom)
    )
    return chart


def _x_ticks(plane: _Plane, most: int) -> dict[str, Any]:
    """Give the ticks of time or order: a few accesses are numbered one by one, as there is no half access; Vega parts a short axis whatever its least step."""
    if plane.across == "order" and plane.last <= most:
        return {"values": list(range(int(plane.last) + 1)), "format": "d"}
    return {"tickCount": most}


def _y_values(plane: _Plane) -> dict[str, Any]:
    """Label both halves with the same offsets; only a plane of one half follows the zoom."""
    if not plane.drop:
        return {}
    step = 1 << max(0, (plane.size // 4).bit_length() - 1)
    offsets = range(0, plane.size + 1, step)
    values = [low + offset for low in (0, plane.drop) for offset in offsets]
    return {"values": values, "tickCount": len(values)}  # or Vega drops every other value
