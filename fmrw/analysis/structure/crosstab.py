"""What a format describes, against what a program read.

Which rows describe: all, except those of depth 0 that have rows of a greater depth after them. Such a row only brackets its
format, and would call a hole between two entries described.
"""

from __future__ import annotations

import polars as pl

from fmrw.analysis import ranges

CLASSES = ("described & read", "described & ignored", "undescribed & read", "undescribed & unread")

_SCHEMA = pl.Schema(
    {
        "class": pl.String(),
        "bytes": pl.Int64(),
        "share": pl.Float64(),
        "ranges": pl.Int64(),
        "starts": pl.List(pl.Int64()),
        "ends": pl.List(pl.Int64()),
    }
)


def crosstab(structure: pl.DataFrame, read: pl.DataFrame, size: int) -> pl.DataFrame:
    """Divide the bytes of a file by whether a format describes them and whether a program read them.

    Parameters
    ----------
    structure
        Frame of `start`, `end`, `depth`, as `structure` and `structure_from` give it.
    read
        Extents read: `start`, `end`; they may overlap.
    size
        Bytes in the file. What lies past it counts nowhere.

    Returns
    -------
    frame of four rows
        `class`; `bytes`; `share` of the file (null for an empty file); `ranges`, how many; `starts` and `ends` of
        each of them, sorted. The four rows hold every byte of the file once.
    """
    held = _described(structure)
    described, undescribed = _inside(held, size), ranges.complement(held, size)
    seen = ranges.merge(read)
    sets = (
        ranges.intersect(described, seen),
        ranges.subtract(described, seen),
        ranges.intersect(undescribed, seen),
        ranges.subtract(undescribed, seen),
    )
    rows = [_summary(name, found, size) for name, found in zip(CLASSES, sets, strict=True)]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _described(structure: pl.DataFrame) -> pl.DataFrame:
    brackets = (pl.col("depth") == 0) & (pl.col("depth").shift(-1, fill_value=0) > 0)
    return structure.filter(~brackets).select("start", "end")


def _inside(extents: pl.DataFrame, size: int) -> pl.DataFrame:
    return ranges.complement(ranges.complement(extents, size), size)


def _summary(name: str, found: pl.DataFrame, size: int) -> tuple[object, ...]:
    total = int((found["end"] - found["start"]).sum())
    starts, ends = found["start"].to_list(), found["end"].to_list()
    return name, total, total / size if size else None, found.height, starts, ends
