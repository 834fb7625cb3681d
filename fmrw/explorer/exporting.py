"""What an explorer shows as a file: a picture in any look, or the accesses themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.index.tiles import Filter
from fmrw.figures import theme as looks
from fmrw.figures.export import save
from fmrw.formats.csv.log import write_csv
from fmrw.offsets import range_text

if TYPE_CHECKING:
    from pathlib import Path

    from fmrw.explorer.explorer import Explorer

_LONGEST = 80


def events(view: Explorer) -> pl.DataFrame:
    """Give the reads and writes of the window and the filters, all columns of a trace."""
    own = view.recorded.trace.lazy.filter(pl.col("path") == view.recorded.path).collect()
    rows = ranges.select(own.sort("seq"), *view.window)
    choice = view.choice
    mask = Filter.of(op=None if choice.ops == "both" else choice.ops, **choice.who()).mask(rows)
    return rows if mask is None else rows.filter(pl.Series(mask))


def write(view: Explorer, target: Path, preset: str, scale: float) -> Path:
    """Write a file in the format its name ends with; see `Explorer.export`."""
    if target.suffix.lower() == ".csv":
        write_csv(events(view), target)
        return target
    return save(view.chart(looks.preset(preset)), target, scale=scale)


def name(path: str, window: tuple[int, int], kind: str) -> str:
    """Make the name of a file in one folder, whatever the path."""
    stem = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in path)
    return f"{stem[-_LONGEST:].lstrip('._') or 'file'}-{range_text(*window)}.{kind}"
