"""Tracks: rows above each other that share one axis of offsets, as a genome browser has them.

A `Track` is a name and `Span`s; `draw` makes a page of them. `strip`, `entropy` and others decide what is shown, this module how it
looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from fmrw.figures import marks, page, wide
from fmrw.figures.captions import Box, Captions
from fmrw.figures.heatmap import check_annotations
from fmrw.figures.measure import shorten, text_width, widest
from fmrw.figures.overlays import (
    MARKED,
    NEXT_PART,
    PART,
    Span,
    Track,
    beside,
    format_tracks,
    label_after,
    marked_tracks,
)
from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl

    from fmrw.figures.page import About
    from fmrw.figures.theme import Look
    from fmrw.offsets import Annotation

__all__ = ["Span", "Track", "draw", "ink_on"]

PARTING = 0.22  # between tracks, as a part of a track's height
_NAMES = 0.3  # of the page's width, at most, for names


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
    structure: pl.DataFrame | None = None,
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
    structure
        Named ranges of the file's format, `start, end, name, depth`, at the very top.
    """
    check_annotations(annotations, about)
    captions = Captions(look)
    above = format_tracks(structure)
    columns = _columns([*above, *tracks, *([Track(MARKED)] if annotations else [])], look)
    box = wide.place(captions, about, what, notes, left=columns.left, kinds=kinds)
    tracks = [*above, *marked_tracks(annotations, about.size, box.width, look), *tracks]
    kinds = {visible(kind): colour for kind, colour in kinds.items()}
    own = {PART: look.palette.parts[0], NEXT_PART: look.palette.parts[1], MARKED: look.palette.accent}
    colours = {**kinds, **{visible(kind): colour for kind, colour in (hidden or {}).items()}, **own}
    layout = _Layout(_tops(tracks), tracks, about.size, box)
    _name(captions, layout, columns)
    rows = [
        row
        for track, top in zip(tracks, layout.tops, strict=True)
        for row in _rows(track, top, about.size, box)
    ]
    areas = [track.spans[0].kind for track in tracks if track.ticks and track.spans]
    layers: list[marks.Layer | alt.Chart] = [
        _grounds(tracks, layout.tops, about, look),
        *_areas(rows, areas, colours),
        *_ticks(layout, look),
        _spans([row for row in rows if row["kind"] not in areas], kinds, colours, layout, look),
        *_labels(rows, colours, layout, look),
    ]
    return page.assemble(layers, captions, box, about, what)


@dataclass(frozen=True)
class _Columns:
    """Widths of names and shares before the tracks, in points."""

    names: float
    shares: float
    text: float

    @property
    def left(self) -> float:
        """Room for both."""
        return self.names + self.shares + self.text * 0.7


def _columns(tracks: Sequence[Track], look: Look) -> _Columns:
    names = widest((visible(track.name) for track in tracks), look.label, font=look.font)
    told = [track.share for track in tracks] + [label for track in tracks for _, label in track.ticks]
    shares = widest(told, look.label, font=look.font)
    return _Columns(min(names, look.width * _NAMES), shares + look.text * 0.6 if shares else 0, look.text)


@dataclass(frozen=True)
class _Layout:
    tops: Sequence[float]
    tracks: Sequence[Track]
    size: int
    box: Box

    @property
    def centres(self) -> list[float]:
        return [round(top + track.height / 2, 3) for top, track in zip(self.tops, self.tracks, strict=True)]

    def text(self, look: Look) -> float:
        """Give the size in which every track's name has a line of its own."""
        line = self.box.height / self.height * min(track.height + PARTING for track in self.tracks)
        return round(min(look.label, line / 1.05), 1)

    @property
    def height(self) -> float:
        return self.tops[-1] + self.tracks[-1].height


def _name(captions: Captions, layout: _Layout, columns: _Columns) -> None:
    """Write names and shares before the tracks."""
    look, box = captions.look, layout.box
    size = layout.text(look)
    right = box.left - look.text * 0.5
    for track, centre in zip(layout.tracks, layout.centres, strict=True):
        y = box.top + centre / layout.height * box.height + size * 0.36
        name = shorten(track.name, columns.names + look.text * 0.2, size, font=look.font)
        if name:
            captions.text(right - columns.shares, y, name, size=size, align="right")
        if track.share:
            captions.text(right, y, track.share, size=size, align="right")
        for part, label in _shown_ticks(track, layout, look):
            bottom = box.top + (centre + track.height / 2) / layout.height * box.height
            at = bottom - part * track.height / layout.height * box.height + size * 0.36
            captions.text(right, at, label, size=size, align="right")


def _areas(rows: list[dict[str, Any]], kinds: Sequence[str], colours: Mapping[str, str]) -> list[marks.Layer]:
    """Draw bars that stand side by side as one stepped area: seams between them would show as a pattern."""
    made = []
    for kind in kinds:
        steps = [row for row in rows if row["kind"] == kind]
        steps.append(steps[-1] | {"x": steps[-1]["x2"]})
        edges = {"x": marks.field("x:Q"), "y": marks.field("y:Q"), "y2": {"field": "y2"}}
        made.append(
            marks.layer("area", steps, edges, interpolate="step-after", fill=colours[kind], line=False)
        )
    return made


def _ticks(layout: _Layout, look: Look) -> list[marks.Layer]:
    """Draw a line across a graph at each of its ticks."""
    lines = [
        (0, top + track.height * (1 - share), layout.size, top + track.height * (1 - share))
        for track, top in zip(layout.tracks, layout.tops, strict=True)
        for share, _ in _shown_ticks(track, layout, look)
    ]
    return [marks.rules(lines, stroke=look.palette.paper, strokeWidth=0.8, opacity=0.7)] if lines else []


def _shown_ticks(track: Track, layout: _Layout, look: Look) -> Sequence[tuple[float, str]]:
    """Leave ticks out whose labels would stand over each other."""
    if not track.ticks:
        return ()
    apart = track.height / layout.height * layout.box.height / max(len(track.ticks) - 1, 1)
    every = next((n for n in (1, 2, 4) if apart * n >= layout.text(look) * 1.1), len(track.ticks) - 1)
    return track.ticks[::every]


def _tops(tracks: Sequence[Track]) -> list[float]:
    tops = [0.0]
    for track in tracks[:-1]:
        tops.append(round(tops[-1] + track.height + PARTING, 3))
    return tops


def _rows(track: Track, top: float, size: int, box: Box) -> Iterable[dict[str, Any]]:
    thinnest = size * track.thinnest / box.width
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
            **({"said": visible(span.said)} if span.said else {}),
        }


def _grounds(tracks: Sequence[Track], tops: Sequence[float], about: About, look: Look) -> marks.Layer:
    rows = [
        {"x": 0, "x2": about.size, "y": top, "y2": top + track.height}
        for track, top in zip(tracks, tops, strict=True)
        if track.ground
    ]
    return marks.rectangles(
        rows, fill=look.palette.untouched, stroke=look.palette.faint, strokeWidth=0.4, strokeOpacity=0.6
    )


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
    said = [alt.Tooltip("said:N", title="asked by")] if any("said" in row for row in rows) else []
    y_axis = alt.Axis(
        values=layout.centres, labels=False, title=None, domain=False, ticks=False, grid=False
    )  # names are captions, which have two columns
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
            opacity=alt.OpacityValue(**alt.condition(chosen, alt.value(1), alt.value(0.08)))
            if kinds
            else alt.OpacityValue(1),
            tooltip=[alt.Tooltip("bytes:N"), alt.Tooltip("kind:N"), alt.Tooltip("label:N"), *said],
        )
        .add_params(*([chosen] if kinds else []), zoom)
    )
    return chart


def _labels(
    rows: list[dict[str, Any]], colours: Mapping[str, str], layout: _Layout, look: Look
) -> list[marks.Layer]:
    """Write the names of spans that have room for them; marked ranges get theirs in any case, beside them."""
    size, box = layout.size, layout.box
    letters = round(min(look.label, box.height / layout.height), 1)  # a track is one unit high, or nearly
    inside, outside = [], []
    for row in rows:
        if not row["label"]:
            continue
        width = (row["x2"] - row["x"]) / max(size, 1) * box.width - look.text * 0.5
        text = shorten(row["label"], width, letters, font=look.font)
        middle = (row["y"] + row["y2"]) / 2
        if text_width(text, letters, font=look.font) < width and _telling(text, row["label"]):
            ink = ink_on(colours[row["kind"]])
            inside.append({"x": (row["x"] + row["x2"]) / 2, "y": middle, "label": text, "ink": ink})
        elif row["kind"] == MARKED:
            after = label_after(row["x2"] / max(size, 1) * box.width, box.width)
            place = {"x": row["x2"] if after else row["x"], "align": "left" if after else "right"}
            outside.append({**place, "y": middle, "label": beside(row["label"], look)})
    style: dict[str, Any] = {"fontSize": letters, "baseline": "middle"}
    layers: list[marks.Layer] = []
    if inside:
        encoding = {"x": marks.field("x:Q"), "y": marks.field("y:Q"), "text": marks.field("label:N")}
        layers.append(marks.layer("text", inside, encoding, fill=marks.expression("datum.ink"), **style))
    for align, shift in (("left", 4), ("right", -4)):
        some = [row for row in outside if row["align"] == align]
        if some:
            layers += marks.labels(
                some, look.palette.paper, look.palette.accent, align=align, dx=shift, **style
            )
    return layers


def _telling(text: str, label: str) -> bool:
    """Say whether enough of a label is left to be worth writing; of a number that is cut nothing is."""
    return text == label or (len(text) > _LEAST_TELLING and not label[0].isdigit())


_LEAST_TELLING = 9


def ink_on(colour: str) -> str:
    """Choose black or white, whichever stands out more on a colour (WCAG 2 relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)  # noqa: PLR2004 - sRGB
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else "#ffffff"
