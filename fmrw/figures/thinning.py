"""Few enough marks from any number of accesses: as they are, joined into runs, or as tiles of the plane."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

SEVERAL = "several processes"

_TIMES, _OFFSETS = 256, 128
_LOOKS = ("op", "kind", "page")
_ROW = pl.Schema(
    {
        "t": pl.Float64(),
        "t2": pl.Float64(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "op": pl.String(),
        "kind": pl.String(),
        "page": pl.Boolean(),
    }
)


@dataclass(frozen=True)
class Thinned:
    """Rows `t, t2, start, end, op, kind, page` to draw, seeks `t, t2, from, to, op` between them, and what was done.

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
        Reads and writes in order, with `t` and `t2` where they stand across and `kind` what colours them.
    size
        Bytes in the file.
    last
        The largest `t`.
    """
    if moved.height <= most:
        rows = moved.with_columns(page=pl.col("fidelity") == "page")
        return Thinned(_columns(rows), seeks_of(rows))
    joined = runs_of(moved)
    count = f"{moved.height:,} accesses"
    if joined.height <= most:
        return Thinned(
            _columns(joined),
            seeks_of(joined),
            f"{count}; those that continue each other are drawn as one line",
        )
    times, offsets = _TIMES, _OFFSETS
    tiles = tiles_of(joined, size, last, times, offsets)
    while tiles.height > most:
        times, offsets = times // 2 or 1, offsets // 2 or 1
        tiles = tiles_of(joined, size, last, times, offsets)
    note = f"{count}, too many for marks of their own: {times} × {offsets} tiles, marked where touched"  # noqa: RUF001 - times
    return Thinned(_columns(tiles), seeks_of(tiles.head(0)), note, times)


def _columns(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col(name).cast(kind) for name, kind in _ROW.items())


def runs_of(moved: pl.DataFrame) -> pl.DataFrame:
    """Join accesses of one handle and direction that begin where the one before ended."""
    own = ["handle", "op", "kind"]
    breaks = (pl.col("start") != pl.col("end").shift().over(own)).fill_null(value=True)
    return (
        moved.lazy()
        .with_columns(run=breaks.cum_sum().over(own))
        .group_by(*own, "run", maintain_order=True)
        .agg(
            pl.col("t", "start").first(),
            pl.col("t2", "end").last(),
            page=(pl.col("fidelity") == "page").any(),
        )
        .sort("t", maintain_order=True)
        .collect()
    )


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


def tiles_of(rows: pl.DataFrame, size: int, last: float, times: int, offsets: int) -> pl.DataFrame:
    """Mark the tiles of a `times` by `offsets` plane that the rows touch; tiles above each other are one mark."""
    wide, high = (last or 1) / times, -(-size // offsets) or 1
    one = pl.col("kind").first()
    touched = (
        rows.lazy()
        .select(
            "op", "kind", "page",
            column=(pl.col("t") / wide).floor().cast(pl.Int64).clip(0, times - 1),
            low=pl.col("start") // high, top=(pl.col("end") - 1) // high,
        )
        .unique()
        .with_columns(tile=pl.int_ranges("low", pl.col("top") + 1))
        .explode("tile")
        .group_by("op", "column", "tile")
        .agg(pl.col("page").any(), kind=pl.when(pl.col("kind").n_unique() == 1).then(one).otherwise(pl.lit(SEVERAL)))
        .sort(*_LOOKS, "column", "tile")
        .with_columns(run=pl.col("tile") - pl.int_range(pl.len(), dtype=pl.Int64).over(*_LOOKS, "column"))
        .group_by(*_LOOKS, "column", "run")
        .agg(low=pl.col("tile").min(), top=pl.col("tile").max() + 1)
        .sort(*_LOOKS, "column", "low")
    )  # fmt: skip
    middle = (pl.col("column") + 0.5) * wide
    return touched.select(
        *_LOOKS,
        t=middle,
        t2=middle,
        start=pl.col("low") * high,
        end=pl.min_horizontal(pl.col("top") * high, size),
    ).collect()
