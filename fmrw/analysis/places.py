"""Places: questions about single offsets among ranges, answered by searching sorted arrays.

Apart from `fmrw.analysis.ranges`, whose other verbs are polars alone: numpy takes as long to import as most commands run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis.minima import NOBODY, paint

if TYPE_CHECKING:
    from numpy.typing import NDArray


def covered(regions: pl.DataFrame, merged: pl.LazyFrame) -> pl.DataFrame:
    """Append how many bytes of each region the merged ranges cover; see `fmrw.analysis.ranges.covered`."""
    starts, ends = (column.to_numpy() for column in merged.collect())
    below = np.concatenate([[0], np.cumsum(ends - starts)])

    def covered_below(place: np.ndarray) -> np.ndarray:
        begun = np.searchsorted(starts, place)
        unread = np.where(begun > 0, np.maximum(ends[begun - 1] - place, 0), 0) if len(ends) else 0
        return below[begun] - unread

    start, end = (regions[name].cast(pl.Int64).fill_null(0).to_numpy() for name in ("start", "end"))
    held = np.where(end > start, covered_below(end) - covered_below(start), 0)
    return regions.with_columns(covered=pl.Series(held, dtype=pl.Int64))


def first_touch(events: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Say which event touched each byte first; see `fmrw.analysis.ranges.first_touch`."""
    ordered = events.sort("seq", maintain_order=True)
    starts, ends = (ordered[name].to_numpy() for name in ("start", "end"))
    order = ordered["seq"].rle_id().cast(pl.Int32).to_numpy()
    edges = distinct(starts, ends)
    lo, hi = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    first = paint(lo, hi, order, max(len(edges) - 1, 0))
    changes = np.flatnonzero(np.diff(first, prepend=-1) != 0)
    bounds = np.append(edges[changes], edges[-1:])
    touched = first[changes] != NOBODY
    seq_of = ordered["seq"].unique(maintain_order=True).to_numpy()
    columns = {
        "start": bounds[:-1][touched],
        "end": bounds[1:][touched],
        "seq": seq_of[first[changes][touched]],
    }
    return pl.DataFrame(columns, schema=schema)


def distinct(*places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort offsets and drop what is there twice; `numpy.unique` hashes since 2.3, which takes ten times as long here."""
    ordered = np.sort(np.concatenate(places))
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
