"""Sparklines: a small strip of each file as SVG, marked where it was read (above) and written (below)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.figures.theme import LIGHT
from fmrw.trace.schema import transfers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fmrw.explorer.trace_protocol import Recording

BINS = 72
"""Bins of a sparkline."""

_HEIGHT = 14


def sparklines(trace: Recording, rows: pl.DataFrame) -> dict[str, str]:
    """Draw a strip of each of some files, by path: read above, written below, as SVG."""
    paths = rows["path"].to_list()
    kept = trace.lazy.filter(pl.col("path").is_in(paths)).select("path", "op", "start", "end").collect()
    parts = transfers(kept).partition_by("path", "op", as_dict=True)
    sizes = dict(zip(paths, rows["size"].to_list(), strict=True))
    none = kept.head(0)
    return {
        path: svg(*(touched(parts.get((path, op), none), sizes[path]) for op in ("read", "write")))
        for path in paths
    }


def touched(rows: pl.DataFrame, size: int) -> NDArray[np.bool_]:
    """Say of each of a strip's bins whether an access shares a byte with it."""
    if not size or rows.is_empty():
        return np.zeros(BINS, bool)
    low = np.clip(rows["start"].to_numpy() * (BINS / size), 0, BINS - 1).astype(np.int64)
    high = np.clip((rows["end"].to_numpy() - 1) * (BINS / size), 0, BINS - 1).astype(np.int64)
    steps = np.bincount(low, minlength=BINS + 1) - np.bincount(high + 1, minlength=BINS + 1)
    return np.cumsum(steps)[:BINS] > 0


def svg(read: NDArray[np.bool_], written: NDArray[np.bool_]) -> str:
    """Draw bins as an SVG that needs no script."""
    half = _HEIGHT if not written.any() else _HEIGHT * 0.6
    bars = _bars(read, 0, half, LIGHT.reads[2]) + _bars(written, half, _HEIGHT, LIGHT.writes[2])
    return f"<svg width='{BINS * 2}' height='{_HEIGHT}'><rect width='100%' height='100%' fill='{LIGHT.untouched}'/>{bars}</svg>"


def _bars(bins: NDArray[np.bool_], top: float, bottom: float, colour: str) -> str:
    edges = np.flatnonzero(np.diff(np.r_[0, bins.astype(np.int8), 0]))
    return "".join(
        f"<rect x='{a * 2}' y='{top:g}' width='{(b - a) * 2}' height='{bottom - top:g}' fill='{colour}'/>"
        for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    )
