"""Thinning: few enough marks from any number of accesses; as they are, joined into runs, or as tiles of the plane."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis.ranges import TRANSFERS as _OPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEVERAL = "several processes"

_TIMES, _OFFSETS = 256, 128
_ROW = pl.Schema(
    {
        "t": pl.Float64(),
        "t2": pl.Float64(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "op": pl.String(),
        "kind": pl.String(),
        "page": pl.Boolean(),
        "site": pl.Int32(),
    }
)


@dataclass(frozen=True)
class Thinned:
    """Rows `t, t2, start, end, op, kind, page, site` (null where accesses of several are one mark) to draw, seeks `t, t2, from, to, op` between them, and what was done.

    `columns` is the number of tiles across, or 0.
    """

    rows: pl.DataFrame
    seeks: pl.DataFrame
    note: str = ""
    columns: int = 0


def thin(moved: pl.DataFrame, size: int, last: float, most: int) -> Thinned:
    """Give at most `most` rows, and as many seeks.

    Parameters
    ----------
    moved
        Reads and writes in order, with `t` and `t2` where they stand across and `kind`, an Enum, what colours them; `site` where that is told.
    size
        Bytes in the file.
    last
        The largest `t`.
    """
    if moved.height <= most:
        rows = moved.with_columns(page=pl.col("fidelity") == "page")
        return Thinned(_columns(rows), seeks_of(rows))
    joined = runs_of(moved, most)
    count = f"{moved.height:,} accesses"
    if joined is not None:
        return Thinned(
            _columns(joined),
            seeks_of(joined),
            f"{count}; those that continue each other are drawn as one line",
        )
    times, offsets = _TIMES, _OFFSETS
    tiles = tiles_of(moved, size, last, times, offsets)
    while tiles.height > most:
        times, offsets = times // 2 or 1, offsets // 2 or 1
        tiles = tiles_of(moved, size, last, times, offsets)
    note = f"{count}, too many for marks of their own: {times} × {offsets} tiles, marked where touched"  # noqa: RUF001 - times
    return Thinned(_columns(tiles), seeks_of(tiles.head(0)), note, times)


def _columns(rows: pl.DataFrame) -> pl.DataFrame:
    known = rows if "site" in rows.columns else rows.with_columns(site=None)
    return known.select(pl.col(name).cast(kind) for name, kind in _ROW.items())


def runs_of(moved: pl.DataFrame, most: int) -> pl.DataFrame | None:
    """Join accesses of one handle and direction that begin where the one before ended; None if more than `most` are left."""
    who = _numbered(moved)
    order = np.argsort(who, kind="stable")
    start, end = (moved[name].to_numpy()[order] for name in ("start", "end"))
    who = who[order]
    begins = np.flatnonzero(np.append(True, (who[1:] != who[:-1]) | (start[1:] != end[:-1])))
    if len(begins) > most:
        return None
    page = (moved["fidelity"] == "page").to_numpy()[order]
    last = moved[order[np.append(begins[1:], len(order)) - 1]]
    first = moved[order[begins]].with_columns(
        last["t2"],
        last["end"],
        page=pl.Series(np.logical_or.reduceat(page, begins)),
        rank=order[begins],
        site=_single(moved, order, begins),
    )
    return first.sort("t", "rank")


def _single(moved: pl.DataFrame, order: NDArray[np.integer], begins: NDArray[np.integer]) -> pl.Series:
    """Give the site of each line whose accesses all have the same."""
    if "site" not in moved.columns:
        return pl.Series("site", [None] * len(begins), pl.Int32())
    sites = moved["site"].fill_null(0).to_numpy()[order]
    least = np.minimum.reduceat(sites, begins)
    same = (least == np.maximum.reduceat(sites, begins)) & (least > 0)
    return pl.Series("site", least).set(~pl.Series(same), None)


def _numbered(moved: pl.DataFrame) -> NDArray[np.integer]:
    """Give each access the number of the line it may be joined to; 16 bits are sorted several times as fast as 64."""
    kinds = len(_kinds(moved))
    handle = moved["handle"].cast(pl.Int64).fill_null(0).to_numpy()
    look = (moved["op"] == _OPS[1]).to_numpy() * kinds + moved["kind"].to_physical().to_numpy()
    line: NDArray[np.integer] = (handle - handle.min()) * (len(_OPS) * kinds) + look
    return line.astype(np.uint16) if line.max() <= np.iinfo(np.uint16).max else line


def _kinds(moved: pl.DataFrame) -> list[str]:
    kind = moved.schema["kind"]
    return kind.categories.to_list() if isinstance(kind, pl.Enum) else []


def seeks_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Find where an access of a handle does not begin where the one before it ended."""
    if "handle" not in rows.columns:
        return pl.DataFrame(
            schema={
                "t": pl.Float64(),
                "t2": pl.Float64(),
                "from": pl.Int64(),
                "to": pl.Int64(),
                "op": pl.String(),
            }
        )
    own = ["handle", "op"]
    before = rows.select(
        pl.col("t2").shift().over(own).alias("t"), pl.col("t").alias("t2"),
        pl.col("end").shift().over(own).alias("from"), pl.col("start").alias("to"), pl.col("op").cast(pl.String),
    )  # fmt: skip
    return before.filter(pl.col("from").is_not_null(), pl.col("from") != pl.col("to"))


def tiles_of(moved: pl.DataFrame, size: int, last: float, times: int, offsets: int) -> pl.DataFrame:
    """Mark the tiles of a `times` by `offsets` plane that accesses touch; tiles above each other are one mark.

    What lies past the end of the file is not on the plane.
    """
    wide, high = (last or 1) / times, -(-size // offsets) or 1
    codes = _codes(
        _touched(moved.lazy().filter(pl.col("start") < size), _kinds(moved), (wide, high), (times, offsets))
    )
    op, column, low, top = _stretches(codes)
    code = codes[op, column, low] - 1
    middle = (column + 0.5) * wide
    marks = pl.DataFrame(
        {
            "op": op,
            "kind": code // 2,
            "page": code % 2 > 0,
            "t": middle,
            "t2": middle,
            "start": low * high,
            "end": np.minimum(top * high, size),
            "site": [None] * len(middle),
        }
    )
    names = [*_kinds(moved), SEVERAL]
    return marks.sort("op", "kind", "page", "t", "start").with_columns(
        op=pl.col("op").replace_strict(dict(enumerate(_OPS)), return_dtype=pl.String),
        kind=pl.col("kind").replace_strict(dict(enumerate(names)), return_dtype=pl.String),
    )


def _touched(
    inside: pl.LazyFrame, named: list[str], tile: tuple[float, int], plane: tuple[int, int]
) -> NDArray[np.bool_]:
    """Say of each operation, kind, fidelity, column and tile whether it was touched: where more begin than end."""
    (wide, high), (times, offsets) = tile, plane
    kinds = len(named)
    op, page, kind = pl.col("op") == _OPS[1], pl.col("fidelity") == "page", pl.col("kind").to_physical()
    look = (op.cast(pl.Int64) * kinds + kind) * 2 + page.cast(pl.Int64)
    column = (pl.col("t") / wide).floor().cast(pl.Int64).clip(0, times - 1)
    row = (look * times + column) * (offsets + 1)
    bounds = inside.select(
        low=row + pl.col("start") // high, top=row + ((pl.col("end") - 1) // high + 1).clip(0, offsets)
    ).collect()
    shape = (len(_OPS), kinds, 2, times, offsets + 1)
    begun, ended = (
        np.bincount(bounds[edge].to_numpy(), minlength=math.prod(shape)) for edge in ("low", "top")
    )
    return np.cumsum((begun - ended).reshape(shape), axis=-1)[..., :offsets] > 0


def _codes(touched: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give each tile of each operation 1 + 2 · kind + whether pages were touched; 0 is untouched, a kind too many is `SEVERAL`."""
    kinds, page = touched.any(axis=2), touched[:, :, 1].any(axis=1)
    number = kinds.sum(axis=1)
    kind = np.where(number == 1, kinds.argmax(axis=1), kinds.shape[1])
    return np.where(number > 0, 1 + 2 * kind + page, 0)


def _stretches(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Join tiles above each other that look the same: operation, column, first tile, tile after the last."""
    framed = np.pad(codes, ((0, 0), (0, 0), (1, 1)))
    changes = framed[..., 1:] != framed[..., :-1]
    op, column, low = np.nonzero(changes & (framed[..., 1:] > 0))
    top = np.nonzero(changes & (framed[..., :-1] > 0))[2]
    return op, column, low, top
