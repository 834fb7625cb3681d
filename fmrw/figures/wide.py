"""Wide charts: what charts along an axis of offsets share; page, axes, a legend in one row, ranges thinned to the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import polars as pl

from fmrw.figures import page
from fmrw.figures.captions import Box, Captions
from fmrw.figures.measure import widest, wrap

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fmrw.figures.page import About
    from fmrw.figures.theme import Look

MOST_MARKS = 10_000
"""Marks a chart may have, whatever the input."""

_TICKS = 8
_NOTE_LINES = 3
_ROW = 1.45  # height of a row of the legend, in sizes of text
_LONGEST = 18  # widest entry of a legend that is shown whole, in sizes of text


def place(
    captions: Captions,
    about: About,
    what: str,
    notes: Sequence[str],
    *,
    left: float,
    kinds: Collection[str],
    right: float = 0,
    above: float = 0,
) -> Box:
    """Write everything around a wide chart and give the place that is left for it.

    Parameters
    ----------
    captions
        Gets title, notes and provenance.
    about, what
        The file, and what is shown of it.
    notes
        Sentences below the chart: what was joined, left out or sampled.
    left
        Room for the labels of the vertical axis.
    kinds
        Entries of the legend.
    right
        Room for what stands to the right of the chart.
    above
        Room between legend and chart.
    """
    look = captions.look
    edge = look.margin + left
    width = look.width - look.margin - right - edge
    rows = _legend_rows(kinds, look)
    parting = 1.0 + _ROW * rows + (0.6 if rows else 0)
    top = page.title(captions, about, what) + look.text * parting + above
    bottom = page.footer(captions, about)
    room, size = look.width - 2 * look.margin, look.label
    lines = wrap(" · ".join(note for note in notes if note), room, size, font=look.font)[:_NOTE_LINES]
    first = bottom - look.text * 0.4 - len(lines) * size * 1.32
    for number, line in enumerate(lines, 1):
        captions.text(look.margin, first + number * size * 1.32, line, size=size)
    return Box(edge, top, width, first - page.axis_room(look) - top)


def byte_axis(scale: str, title: str, **changes: Any) -> alt.Axis:  # noqa: ANN401 - properties of altair's axis
    """Label an axis of offsets in hexadecimal, at multiples of a power of two, wherever it is zoomed to.

    Parameters
    ----------
    scale
        "x" or "y", the scale whose window decides.
    """
    low, high = f"domain('{scale}')[0]", f"domain('{scale}')[1]"
    step = f"pow(2, max(0, ceil(log(({high} - {low}) / {_TICKS}) / LN2)))"
    values = f"sequence(max(0, ceil({low} / {step}) * {step}), {high} + 1, {step})"
    usual: dict[str, Any] = {
        "values": alt.expr(values),
        "labelExpr": "'0x' + format(datum.value, 'x')",
        "title": title,
        "labelFlush": scale == "x",  # the last one would leave the page
    }
    return alt.Axis(**(usual | {"grid": False, "labelOverlap": "greedy"} | changes))


def legend(kinds: Mapping[str, str], box: Box, look: Look, **changes: Any) -> alt.Legend | None:  # noqa: ANN401 - properties of altair's legend
    """Stand in rows above the chart; clicking an entry leaves only its marks."""
    if not kinds:
        return None
    columns, rows = _legend_columns(kinds, look), _legend_rows(kinds, look)
    return alt.Legend(
        orient="none",
        direction="horizontal",
        legendX=round(look.margin - box.left, 2),
        legendY=round(-look.text * (0.9 + _ROW * rows), 2),
        title=None,
        values=list(kinds),
        columns=columns,
        columnPadding=look.text,
        rowPadding=look.text * _ROW - look.label,
        symbolSize=look.text**2 * 0.8,
        labelLimit=look.text * _LONGEST,
        **changes,
    )


def _legend_columns(kinds: Collection[str], look: Look) -> int:
    entry = min(widest(kinds, look.label, font=look.font), look.text * _LONGEST) + look.text * 2.4
    return max(1, min(len(kinds), int((look.width - 2 * look.margin) / entry)))


def _legend_rows(kinds: Collection[str], look: Look) -> int:
    return -(-len(kinds) // _legend_columns(kinds, look))


def choose() -> alt.Parameter:
    """Let clicks in the legend choose kinds."""
    return alt.selection_point(name="kind", fields=["kind"], bind="legend")


def thinned(ranges: pl.DataFrame, size: int, most: int) -> tuple[pl.DataFrame, int]:
    """Join sorted ranges that lie close together until at most `most` are left.

    Returns
    -------
    frame of `start`, `end`, and the width in bytes up to which holes between them were closed; 0 if none were
    """
    starts, ends = ranges["start"].to_numpy(), ranges["end"].to_numpy()
    width = 0
    while len(starts) > most:
        width = max(width * 2, size // 4096, 1)
        begins = np.flatnonzero(starts[1:] - ends[:-1] > width)
        starts, ends = starts[np.r_[0, begins + 1]], ends[np.r_[begins, len(ends) - 1]]
    return pl.DataFrame({"start": starts, "end": ends}, schema={"start": pl.Int64, "end": pl.Int64}), width


def joined_note(width: int) -> str:
    """Say what `thinned` did."""
    return f"ranges less than {width:,} bytes apart are drawn as one" if width else ""
