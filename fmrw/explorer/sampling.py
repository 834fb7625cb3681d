"""Sampling: every n-th of many accesses, for lanes, the plane of time, and the pointer, which need no more than a screen shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis.index.filter import Filter

if TYPE_CHECKING:
    from fmrw.explorer.filters import Choice

THINNED = 16
"""Of so many accesses one is looked at first, where that is enough for a sample."""

PLACE = "place"
"""The column of a sample that says how many rows were before each, of all that there are."""


def every(found: pl.Series, most: int) -> pl.Series:
    """Give every n-th, at most so many."""
    return found.gather_every(-(-len(found) // most) or 1)


def inside(window: tuple[int, int]) -> list[pl.Expr]:
    """Ask which accesses share a byte with a window."""
    return [pl.col("start") < window[1], pl.col("end") > window[0]]


def mask_of(choice: Choice, rows: pl.DataFrame) -> pl.Series | None:
    """Say which rows a choice lets pass; None if all."""
    op = None if choice.ops == "both" else choice.ops
    mask = Filter.of(op=op, **choice.who()).mask(rows)
    return None if mask is None else pl.Series(mask)


def thinned(rows: pl.DataFrame, mask: pl.Series | None) -> pl.DataFrame:
    """Give one in `THINNED` rows, of those that pass; the sample of a large window is taken from these."""
    few = rows.gather_every(THINNED).with_columns(pl.int_range(0, rows.height, THINNED).alias(PLACE))
    return (few if mask is None else few.filter(mask.gather_every(THINNED))).rechunk()


def again(few: pl.DataFrame, window: tuple[int, int] | None, most: int) -> tuple[pl.DataFrame, int]:
    """Sample what `thinned` gave, as `sampled` does; its columns are whole, and numpy compares so few at once faster."""
    if window is None:
        return sampled(few, None, None, most)
    starts, ends = few["start"].to_numpy(), few["end"].to_numpy()
    places = pl.Series(np.flatnonzero((starts < window[1]) & (ends > window[0])))
    return few[every(places, most)], len(places)


def sampled(
    rows: pl.DataFrame, mask: pl.Series | None, window: tuple[int, int] | None, most: int
) -> tuple[pl.DataFrame, int]:
    """Look at all rows: give every n-th of those that pass and lie in a window (None: anywhere), and how many do."""
    conditions = [*([] if mask is None else [pl.lit(mask)]), *(inside(window) if window else [])]
    if conditions:
        places = rows.select(pl.arg_where(pl.all_horizontal(conditions))).to_series()
    else:
        places = pl.int_range(rows.height, eager=True)
    chosen = every(places, most)
    found = rows[chosen]
    return found if PLACE in rows.columns else found.with_columns(chosen.alias(PLACE)), len(places)
