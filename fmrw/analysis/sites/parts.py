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
    asked = asked.with_columns(
        function=pl.Series([called.get(site, "?") for site in asked["site"]], dtype=pl.String)
    )
    by_function = {str(name): own for (name,), own in asked.group_by("function", maintain_order=True)}
    merged = {name: ranges.merge(own) for name, own in by_function.items()}
    parts = structure.filter(~is_bracket()).sort("start", "end").head(_MOST_PARTS)
    rows = []
    for start, end, name in parts.select("start", "end", "name").iter_rows():
        for function, own in by_function.items():
            touched = _overlap(merged[function], start, end)
            if touched:
                calls = own.filter(pl.col("start") < end, pl.col("end") > start)["call"].n_unique()
                rows.append((name, start, end, function, touched, calls))
    return pl.DataFrame(rows, schema=PARTS, orient="row")


def _overlap(extents: pl.DataFrame, start: int, end: int) -> int:
    inside = extents.filter(pl.col("start") < end, pl.col("end") > start)
    return int((inside["end"].clip(upper_bound=end) - inside["start"].clip(lower_bound=start)).sum())
