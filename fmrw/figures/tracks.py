"""Tracks: rows above each other that share one axis of offsets, as a genome browser has them.

A `Track` is a name and `Span`s; `draw` makes a page of them. `strip`, `entropy` and others decide what is shown, this module how it
looks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import altair as alt

from fmrw.figures import marks, page, wide
from fmrw.figures.captions import Box, Captions, shorten
from fmrw.figures.heatmap import check_annotations
from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fmrw.figures.page import About
    from fmrw.figures.theme import Look
    from fmrw.offsets import Annotation

PARTING = 0.22  # between tracks, as a part of a track's height
_THINNEST = 0.8  # points a span is drawn wide at least, so that one byte shows in any file
_LONGEST_NAME = 26


class Span(NamedTuple):
    """A range of bytes and what it is; `low` and `high` say which part of the track's height it fills."""

    start: int
    end: int
    kind: str
    label: str = ""
    low: float = 0
    high: float = 1


@dataclass
class Track:
    """A row of the chart."""

    name: str
    spans: Sequence[Span] = field(default_factory=list)
    height: float = 1
    ground: bool = True


def draw(
    tracks: Sequence[Track],
    kinds: Mapping[str, str],
    about: About,
    look: Look,
    *,
    what: str,
    notes: Sequence[str] = (),
    hidden: Mapping[str, str] | None = None,
    annotations: Sequence[Annotation] = (),
) -> alt.LayerChart:
    """Draw tracks on a page.

    Parameters
    ----------
    tracks
        From top to bottom.
    kinds
        Colour of each kind of span, in the order of the legend.
    hidden
        Colours of kinds that need no legend.
    annotations
        Named ranges, above all tracks.
    """
    check_annotations(annotations, about)
    if annotations:
        tracks = [
            Track("marked", [Span(*each[:2], "marked", each[2]) for each in annotations], 0.7, ground=False),
            *tracks,
        ]
    captions = Captions(look)
    names = [shorten(track.name, _LONGEST_NAME * look.text * 0.53, look.text) for track in tracks]
    left = look.text * (1.8 + 0.5 * max(len(name) for name in names))
    box = wide.place(captions, about, what, notes, left=left, kinds=kinds)
    kinds = {visible(kind): colour for kind, colour in kinds.items()}
    colours = {**kinds, **(hidden or {}), "marked": look.palette.accent}
    tops = _tops(tracks)
    rows = [
        row for track, top in zip(tracks, tops, strict=True) for row in _rows(track, top, about.size, box)
    ]
    layers = [
        _grounds(tracks, tops, about, look),
        _spans(rows, kinds, colours, _Layout(tops, tracks, names, about.size, box), look),
        *_labels(rows, colours, about.size, box, look),
    ]
    return page.assemble(layers, captions, box, about, what)


@dataclass(frozen=True)
class _Layout:
    tops: Sequence[float]
    tracks: Sequence[Track]
    names: Sequence[str]
    size: int
    box: Box

    @property
    def centres(self) -> list[float]:
        return [round(top + track.height / 2, 3) for top, track in zip(self.tops, self.tracks, strict=True)]

    def text(self, look: Look) -> float:
        """Give the size in which every track's name has a line of its own."""
        line = self.box.height / self.height * min(track.height + PARTING for track in self.tracks)
        return round(min(look.text * 0.9, line / 1.05), 1)

    @property
    def height(self) -> float:
        return self.tops[-1] + self.tracks[-1].height


def _tops(tracks: Sequence[Track]) -> list[float]:
    tops = [0.0]
    for track in tracks[:-1]:
        tops.append(round(tops[-1] + track.height + PARTING, 3))
    return tops


def _rows(track: Track, top: float, size: int, box: Box) -> Iterable[dict[str, Any]]:
    thinnest = size * _THINNEST / box.width
    for span in track.spans:
        x = min(span.start, max(size - thinnest, 0))  # a place at the very end shows as well
        yield {
            "x": x,
            "x2": max(span.end, x + thinnest),
            "y": round(top + track.height * (1 - span.high), 3),
            "y2": round(top + track.height * (1 - span.low), 3),
            "kind": visible(span.kind),
            "bytes": range_text(span.start, span.end),
            "label": visible(span.label),
        }


def _grounds(tracks: Sequence[Track], tops: Sequence[float], about: About, look: Look) -> alt.Chart:
    rows = [
        {"x": 0, "x2": about.size, "y": top, "y2": top + track.height}
        for track, top in zip(tracks, tops, strict=True)
        if track.ground
    ]
    return marks.rectangles(rows, fill=look.palette.untouched)


def _spans(
    rows: list[dict[str, Any]],
    kinds: Mapping[str, str],
    colours: Mapping[str, str],
    layout: _Layout,
    look: Look,
) -> alt.Chart:
    chosen = wide.choose()
    zoom = alt.selection_interval(name="zoom", bind="scales", encodings=["x"])
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    lookup = json.dumps(
        {f"{centre:g}": name for centre, name in zip(layout.centres, layout.names, strict=True)}
    )
    y_axis = alt.Axis(
        values=layout.centres, labelExpr=f"{lookup}[datum.value]", title=None, domain=False, ticks=False, grid=False,
        labelPadding=look.text * 0.6, labelLimit=0, labelOverlap=False, labelFontSize=layout.text(look),
        tickCount=len(layout.centres),  # or Vega drops every other value
    )  # fmt: skip
    chart: alt.Chart = (
        alt.Chart(marks.inline(rows))
        .mark_rect(clip=True)
        .encode(
            x=alt.X(
                "x:Q",
                scale=alt.Scale(domain=[0, max(layout.size, 1)], nice=False),
                axis=wide.byte_axis("x", "offset"),
            ),
            x2=alt.X2("x2:Q"),
            y=alt.Y("y:Q", scale=alt.Scale(domain=[0, layout.height], nice=False, reverse=True), axis=y_axis),
            y2=alt.Y2("y2:Q"),
            color=alt.Color("kind:N", scale=scale, legend=wide.legend(kinds, layout.box, look)),
            opacity=alt.OpacityValue(**alt.condition(chosen, alt.value(1), alt.value(0.08))),
            tooltip=[alt.Tooltip("bytes:N"), alt.Tooltip("kind:N"), alt.Tooltip("label:N")],
        )
        .add_params(chosen, zoom)
    )
    return chart


def _labels(
    rows: list[dict[str, Any]], colours: Mapping[str, str], size: int, box: Box, look: Look
) -> list[alt.Chart]:
    """Write the names of spans that have room for them; marked ranges get theirs in any case, beside them."""
    inside, beside = [], []
    for row in rows:
        if not row["label"]:
            continue
        width = (row["x2"] - row["x"]) / max(size, 1) * box.width
        text = shorten(row["label"], max(width, look.text * 10), look.text * 0.85)
        middle = (row["y"] + row["y2"]) / 2
        if len(text) * look.text * 0.5 < width:
            inside.append(
                {
                    "x": (row["x"] + row["x2"]) / 2,
                    "y": middle,
                    "label": text,
                    "ink": ink_on(colours[row["kind"]]),
                }
            )
        elif row["kind"] == "marked":
            beside.append(_beside(row, text, middle, size))
    style: dict[str, Any] = {
        "fontSize": round(look.text * 0.85, 1),
        "baseline": "middle",
        "clip": True,
        "tooltip": None,
    }
    charts: list[alt.Chart] = []
    if inside:
        text = alt.Chart(marks.inline(inside)).mark_text(fill=alt.expr("datum.ink"), **style)
        charts.append(text.encode(alt.X("x:Q"), alt.Y("y:Q"), alt.Text("label:N")))
    for align, shift in (("left", 4), ("right", -4)):
        some = [row for row in beside if row["align"] == align]
        if some:
            charts += marks.labels(
                some, look.palette.paper, look.palette.accent, align=align, dx=shift, **style
            )
    return charts


def _beside(row: dict[str, Any], text: str, middle: float, size: int) -> dict[str, Any]:
    after = row["x2"] < size * 0.7
    return {
        "x": row["x2"] if after else row["x"],
        "y": middle,
        "label": text,
        "align": "left" if after else "right",
    }


def ink_on(colour: str) -> str:
    """Choose black or white, whichever stands out more on a colour (WCAG 2 relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)  # noqa: PLR2004 - sRGB
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else "#ffffff"
