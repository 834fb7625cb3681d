"""Overlays of a chart along offsets: the parts of a format as tracks, and marked ranges in as many rows as they need.

Nothing overprints: ranges that overlap, or whose labels would, stand in rows of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fmrw.figures.measure import shorten, text_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fmrw.figures.theme import Look
    from fmrw.offsets import Annotation

MARKED = "marked"
PART, NEXT_PART = "part", "next part"
_PARTS = 2_000  # named ranges drawn per track: the longest, since the first would leave the rest of the file as if it had none
_MOST_ROWS = 4  # that one level of a format may take
_MOST_MARKED = 8
_MOST_FORMATS = 4
_FEW_FORMATS = 1  # up to which inner parts are shown as well
_LABEL = 16  # widest label of a marked range, in sizes of text


class Span(NamedTuple):
    """A range of bytes and what it is; `low` and `high` say which part of the track's height it fills, `said` is for the pointer alone."""

    start: int
    end: int
    kind: str
    label: str = ""
    low: float = 0
    high: float = 1
    said: str = ""


@dataclass
class Track:
    """A row of the chart.

    Parameters
    ----------
    name, share
        What stands before it, in two columns; the share is never cut.
    thinnest
        Points a span is drawn wide at least, so that one byte shows in any file. 0 for columns that stand side by side.
    ticks
        Labels at shares of the height, for a track whose spans are bars of one graph; they are drawn as one area then, without seams between them.
    """

    name: str
    spans: Sequence[Span] = field(default_factory=list)
    height: float = 1
    ground: bool = True
    share: str = ""
    thinnest: float = 2
    ticks: Sequence[tuple[float, str]] = ()


def format_tracks(structure: pl.DataFrame | None) -> list[Track]:
    """Make a track for each format, and for the inner parts where there is one format; neighbours have two tints.

    Parameters
    ----------
    structure
        Named ranges `start, end, name, depth`, as `analysis.structure` gives them; None for none.
    """
    if structure is None or structure.is_empty():
        return []
    from fmrw.analysis.structure.naming import is_bracket  # noqa: PLC0415 - brings all formats, and most figures show none

    numbered = structure.with_columns(format=is_bracket().cum_sum())
    formats = numbered.partition_by("format", maintain_order=True)[:_MOST_FORMATS]
    tracks: list[Track] = []
    for parts in formats:
        bracket, rest = parts.filter(is_bracket()), parts.filter(~is_bracket())
        name = bracket["name"][0].partition(" (")[0] if bracket.height else "format"
        depths = sorted(rest["depth"].unique().to_list())
        for number, depth in enumerate(depths[: 2 if len(formats) <= _FEW_FORMATS else 1]):
            tracks += _level(rest.filter(depth=depth), "" if number else name)
    return tracks


def _level(parts: pl.DataFrame, name: str) -> list[Track]:
    length = (parts["end"] - parts["start"]).alias("length")
    longest = parts.with_columns(length).sort("length", descending=True, maintain_order=True).head(_PARTS)
    found = longest.sort("start", "length", descending=[False, True]).select("start", "end", "name").rows()
    rows = packed([(start, end) for start, end, _ in found], _MOST_ROWS)
    tracks = [
        Track(name if not row else "", [], 1.0, ground=False) for row in range(max(rows, default=-1) + 1)
    ]
    spans: list[list[Span]] = [[] for _ in tracks]
    for row, (start, end, label) in zip(rows, found, strict=True):
        spans[row].append(Span(start, end, (PART, NEXT_PART)[len(spans[row]) % 2], label))
    for track, own in zip(tracks, spans, strict=True):
        track.spans = own
    return tracks


def marked_tracks(annotations: Sequence[Annotation], size: int, width: float, look: Look) -> list[Track]:
    """Make as many tracks of marked ranges as keep bars and labels from overprinting each other.

    Parameters
    ----------
    size, width
        Bytes of the file, and points across which it is drawn.
    """
    places = [_extent(each, size, width, look) for each in annotations]
    rows = packed(places, _MOST_MARKED)
    tracks = [
        Track(MARKED if not row else "", [], 1.0, ground=False) for row in range(max(rows, default=-1) + 1)
    ]
    for number, track in enumerate(tracks):
        some = [each for row, each in zip(rows, annotations, strict=True) if row == number]
        track.spans = [Span(start, end, MARKED, name) for start, end, name in some]
    return tracks


def _extent(annotation: Annotation, size: int, width: float, look: Look) -> tuple[float, float]:
    """Say from where to where an annotation and its label reach, in points."""
    start, end, name = annotation
    low, high = (place / max(size, 1) * width for place in (start, end))
    high = max(high, low + 2)
    wide = text_width(beside(name, look), look.label, font=look.font) + look.text * 0.8
    if wide < high - low:
        return low, high
    return (low, high + wide) if label_after(high, width) else (low - wide, high)


def beside(name: str, look: Look) -> str:
    """Shorten the label of a marked range to what may stand beside it."""
    return shorten(name, look.text * _LABEL, look.label, font=look.font)


def label_after(high: float, width: float) -> bool:
    """Say whether a label stands to the right of what ends at `high` points, or to its left."""
    return high < width * 0.6


def packed(extents: Sequence[tuple[float, float]], most: int) -> list[int]:
    """Give each extent the first row in which it overlaps none before it; the last row takes what is left.

    Returns
    -------
    list of int
        By extent, in their order.
    """
    rows = [0] * len(extents)
    reach: list[float] = []
    for place in sorted(range(len(extents)), key=lambda each: extents[each]):
        low, high = extents[place]
        free = next((row for row, end in enumerate(reach) if end <= low), len(reach))
        rows[place] = row = min(free, most - 1)
        reach[row : row + 1] = [max(high, *reach[row : row + 1])] if row < len(reach) else [high]
    return rows
