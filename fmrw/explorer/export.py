"""Export: what a view writes to files; the rows of a CSV, and the names of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.index.filter import Filter
from fmrw.offsets import range_text

if TYPE_CHECKING:
    from fmrw.explorer.filters import Choice
    from fmrw.explorer.recorded_file import RecordedFile

_LONGEST = 80


def events(recorded: RecordedFile, window: tuple[int, int], choice: Choice) -> pl.DataFrame:
    """Give the reads and writes of a window and a choice, all columns of a trace."""
    own = recorded.trace.lazy.filter(pl.col("path") == recorded.path).collect()
    rows = ranges.select(own.sort("seq"), *window)
    mask = Filter.of(op=None if choice.ops == "both" else choice.ops, **choice.who()).mask(rows)
    return rows if mask is None else rows.filter(pl.Series(mask))


def name(path: str, window: tuple[int, int], kind: str) -> str:
    """Make the name of a file in one folder, whatever the path."""
    stem = "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in path)
    return f"{stem[-_LONGEST:].lstrip('._') or 'file'}-{range_text(*window)}.{kind}"
