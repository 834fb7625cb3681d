"""Lanes: what each parser read of a file, as small SVG within a page."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from fmrw.offsets import hex_offset, range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

_WIDTH, _HEIGHT = 800, 12
_MOST = 400  # rectangles of a lane
_RANGES = 12  # ranges in words
_OPACITY = ["0", ".25", ".35", ".45", ".55", ".65", ".75", ".85", ".92", "1"]


def strip(run: Mapping[str, Any] | None) -> str:
    """Draw the 32 parts of a file that a run read, and its verdict."""
    if run is None:
        return ""
    share = "nothing" if run["share"] is None else f"{100 * run['share']:.1f} %"
    told = f"{run['verdict']}, {share} requested"
    cells = "".join(
        f'<rect class="read" x="{start}" width="{end - start}" height="8" opacity="{_OPACITY[int(level)]}"/>'
        for start, end, level in _alike(run["strip"])
        if level != "0"
    )
    ground = f'<rect class="none" width="{len(run["strip"]) or 32}" height="8"/>'
    return f'<svg width="96" height="10" viewBox="0 0 {len(run["strip"]) or 32} 8" preserveAspectRatio="none" role="img"><title>{html.escape(told)}</title>{ground}{cells}</svg>'


def _alike(text: str) -> Iterator[tuple[int, int, str]]:
    """Cut a text where its character changes."""
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or text[place] != text[start]:
            yield start, place, text[start]
            start = place


def lanes(
    size: int, parsers: Sequence[str], runs: Mapping[str, Mapping[str, Any]], extents: pl.DataFrame | None
) -> str:
    """Draw a lane for each parser, to scale, and say its ranges and the first lines that it printed."""
    rows = []
    for parser in parsers:
        run = runs.get(parser)
        if run is not None:
            ranges = [] if extents is None else _ranges(extents, parser)
            rows.append(
                f'<div><b>{html.escape(parser)}</b> <span class="small">{_said(run)}</span>{_lane(size, ranges)}<div class="small">{_words(ranges)}</div></div>'
            )
    return "".join(rows) + f'<div class="small">0x0 … {hex_offset(size)} ({size:,} bytes)</div>'


def _ranges(extents: pl.DataFrame, parser: str) -> list[tuple[int, int]]:
    own = extents.filter(extents["parser"] == parser).sort("start")
    return list(zip(own["start"], own["end"], strict=True))


def _said(run: Mapping[str, Any]) -> str:
    ending = (
        f"status {run['status']}"
        if run["status"] is not None
        else f"signal {run['signal']}"
        if run["signal"]
        else ""
    )
    request = "" if run["smallest_request"] is None else f"smallest request {run['smallest_request']:,} bytes"
    first = next(
        (line for line in (run["stderr_head"] or run["stdout_head"]).splitlines() if line.strip()), ""
    )
    parts = [run["verdict"], ending, run["error"], request, first]
    return " · ".join(html.escape(visible(part)) for part in parts if part)


def _lane(size: int, ranges: Sequence[tuple[int, int]]) -> str:
    scale = _WIDTH / max(1, size)
    drawn = "".join(
        f'<rect class="read" x="{start * scale:.2f}" width="{max(0.5, (end - start) * scale):.2f}" height="{_HEIGHT}"><title>{range_text(start, end)}</title></rect>'
        for start, end in ranges[:_MOST]
    )
    return f'<svg width="100%" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none"><rect class="none" width="{_WIDTH}" height="{_HEIGHT}"/>{drawn}</svg>'


def _words(ranges: Sequence[tuple[int, int]]) -> str:
    if not ranges:
        return "nothing requested"
    more = f" and {len(ranges) - _RANGES:,} more" if len(ranges) > _RANGES else ""
    return ", ".join(range_text(start, end) for start, end in ranges[:_RANGES]) + more
