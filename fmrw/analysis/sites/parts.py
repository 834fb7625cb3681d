"""Format parts and functions: which function asked for which part of a file's format."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.structure.naming import is_bracket
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

PARTS = pl.Schema({"part": pl.String(), "start": pl.Int64(), "end": pl.Int64(), "function": pl.String(), "bytes": pl.Int64(), "calls": pl.Int64()})  # fmt: skip
_MOST_PARTS = 2_000


def crosstab(structure: pl.DataFrame, events: pl.DataFrame, called: Mapping[int, str]) -> pl.DataFrame:
    """Set the parts of a file's format against the functions that asked for them.

    Parameters
    ----------
    structure
        Frame of `start`, `end`, `name`, `depth`, as `fmrw.analysis.structure.structure` gives it.
    events : frame of `schema.EVENTS`
        Of that file.
    called : mapping
        What each site is called by (`fmrw.analysis.sites.stacks.names`).

    Returns
    -------
    frame of `PARTS`
        One row for each part and function: its different bytes that this function asked for, and in how many calls. In the order of the parts, of
        which the first 2,000 count.
    """
    asked = schema.transfers(events).filter(pl.col("site").is_not_null(), pl.col("op") == "read")
    function = pl.col("site").replace_strict(dict(called), default="?", return_dtype=pl.String)
    by_function = asked.with_columns(function=function).partition_by("function", maintain_order=True)
    parts = structure.filter(~is_bracket()).sort("start", "end").head(_MOST_PARTS).with_row_index("place")
    rows = [_asked_by(own, parts) for own in by_function]
    found = pl.concat([PARTS.to_frame().with_columns(place=pl.lit(0, pl.UInt32)), *rows])
    return found.filter(pl.col("bytes") > 0).sort("place", maintain_order=True).select(PARTS.names())


def _asked_by(own: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Set each part against the reads of one function: those that had begun by its end, without those that had ended by its start."""
    begun = own["start"].sort().search_sorted(parts["end"], "left").cast(pl.Int64)
    over = own["end"].sort().search_sorted(parts["start"], "right").cast(pl.Int64)
    return ranges.covered(parts, own).select(
        pl.col("name").alias("part"),
        "start",
        "end",
        pl.lit(own["function"][0]).alias("function"),
        pl.col("covered").alias("bytes"),
        (begun - over).alias("calls"),
        "place",
    )
