"""Summaries in text: one line about a range, for the pointer, and a strip of a window, for plain IPython.

Everything that comes from the recording is made harmless for a terminal (`visible`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer.filters import OPS
from fmrw.figures.page import size_text
from fmrw.offsets import range_text
from fmrw.text import percent, visible
from fmrw.trace.exactness import untouched_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import polars as pl

    from fmrw.explorer.filters import Choice
    from fmrw.explorer.recorded_file import RecordedFile

_COLUMNS = 72
_SHADES = " ░▒▓█"
_NAMED = 4
_SAMPLE = 20_000  # accesses looked at for who they were


def tell(recorded: RecordedFile, choice: Choice, start: int, end: int) -> str:
    """Say in one line what happened to the bytes [start, end): how often, who, when, what they are, what altering them does, and which code asked."""
    rows, total = recorded.sample(choice, (start, end), _SAMPLE)
    parts = [range_text(start, end), f"{end - start:,} byte{'s' if end - start > 1 else ''}"]
    edges = np.array((start, end), np.int64)
    bins = {op: recorded.bins(edges, op, choice).row(0, named=True) for op in OPS[choice.ops]}
    parts += [_counted(op, each) for op, each in bins.items() if each["accesses"]] or [
        untouched_text(mapped=recorded.mapped)
    ]
    if rows.height:
        parts.append(_who(rows) + (" and perhaps others" if total > rows.height else ""))
        first: datetime = rows["time"][0]
        last: datetime = rows["time"][-1]
        parts.append(f"{first:%H:%M:%S.%f}" + (f" to {last:%H:%M:%S.%f}" if last != first else ""))
    named = recorded.file.parts(start, end).sort("depth", "start")
    if named.height:
        parts.append(" › ".join(visible(name) for name in named["name"].head(_NAMED)))  # noqa: RUF001 - a pointer
    parts += recorded.probed.told(start, end)
    if "site" in rows.columns:
        asked = recorded.call_sites.told(rows["site"].unique(maintain_order=True))
        parts += [f"asked by {asked}"] if asked else []
    return " · ".join(parts)


def _counted(op: str, found: Mapping[str, Any]) -> str:
    """Count the calls, and how often they met: "12 reads; some byte read 3 times"."""
    calls, times = found["accesses"], found["repeats"]
    counted = f"{calls:,} {op}{'s' if calls > 1 else ''}"
    past = {"read": "read", "write": "written"}[op]
    return counted if calls == 1 else f"{counted}; {_times(past, times, found)}"


def _times(past: str, times: int, found: Mapping[str, Any]) -> str:
    if times == 1:
        return f"no byte {past} twice"
    one = found["end"] - found["start"] == 1
    return f"{'the' if one else 'some'} byte {past} {times:,} times"


def _who(rows: pl.DataFrame) -> str:
    pairs = rows.lazy().select("process", "pid").unique(maintain_order=True).collect()
    shown = ", ".join(f"{visible(name)} [{pid}]" for name, pid in pairs.head(_NAMED).iter_rows())
    more = pairs.height - _NAMED
    return shown + (f" and {more} more" if more > 0 else "")


def strip(recorded: RecordedFile, choice: Choice, window: tuple[int, int]) -> str:
    """Draw a window as lines of text: a summary, and a character per column, darker where more was touched."""
    start, end = window
    lines = [
        f"{visible(recorded.path)}: {size_text(recorded.size)}, {range_text(start, end)} shown; {recorded.exactness}"
    ]
    if end <= start:
        return lines[0]
    edges = window_edges(start, end, min(_COLUMNS, end - start))
    for op in OPS[choice.ops]:
        if op == "write" and not recorded.present(op):
            continue
        bins = recorded.bins(edges, op, choice)
        share = bins["distinct"].to_numpy() / (bins["end"] - bins["start"]).to_numpy()
        shades = np.ceil(np.clip(share, 0, 1) * (len(_SHADES) - 1)).astype(int)
        touched = bins["distinct"].sum() / (end - start)
        count = recorded.bins(np.array(window, np.int64), op, choice)["accesses"].item()
        picture = "".join(_SHADES[shade] for shade in shades)
        lines.append(
            f"{op:>5} │{picture}│ {count:,} {op}{'s' if count != 1 else ''}, {percent(float(touched))} of the bytes"
        )
    return "\n".join(lines)
