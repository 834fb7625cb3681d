"""What a format describes, against what a program read.

Which rows describe: all, except those of depth 0 that have rows of a greater depth after them. Such a row only brackets its
format, and would call a hole between two entries described. It says what is wrong with the format, and that is kept: of a damaged
file, or one without a known format, "undescribed and read" is no finding.
"""

from __future__ import annotations

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.structure.naming import Names, format_of, is_bracket

CLASSES = ("described & read", "described & ignored", "undescribed & read", "undescribed & unread")
SAID = dict(
    zip(
        CLASSES,
        (
            "described & requested",
            "described, not requested",
            "undescribed & requested",
            "undescribed, not requested",
        ),
        strict=True,
    )
)
"""What figures and tables call the classes: what was requested need not have been looked at, and "ignored" is a word of probes."""

_MOST_NAMED = 20_000  # ranges of one class that get a name; the others have "", so that a million ends too

_SCHEMA = pl.Schema(
    {
        "class": pl.String(),
        "bytes": pl.Int64(),
        "share": pl.Float64(),
        "ranges": pl.Int64(),
        "starts": pl.List(pl.Int64()),
        "ends": pl.List(pl.Int64()),
        "names": pl.List(pl.String()),
        "format": pl.String(),
    }
)


def crosstab(structure: pl.DataFrame, read: pl.DataFrame, size: int) -> pl.DataFrame:
    """Divide the bytes of a file by whether a format describes them and whether a program read them.

    Parameters
    ----------
    structure
        Frame of `start`, `end`, `name`, `depth`, as `structure` and `structure_from` give it.
    read
        Extents read: `start`, `end`; they may overlap.
    size
        Bytes in the file. What lies past it counts nowhere.

    Returns
    -------
    frame of four rows
        `class`; `bytes`; `share` of the file (null for an empty file); `ranges`, how many; `starts`, `ends` and `names` of
        each of them, sorted: the parts it shares bytes with, or its neighbours; "" for those behind the first 20,000. `format`, the
        same in all rows, says which format that is, and whether it is damaged or none is known. The four rows hold
        every byte of the file once.
    """
    held = structure.filter(~is_bracket()).select("start", "end")
    described, undescribed = _inside(held, size), ranges.complement(held, size)
    seen = ranges.merge(read)
    sets = (
        ranges.intersect(described, seen),
        ranges.subtract(described, seen),
        ranges.intersect(undescribed, seen),
        ranges.subtract(undescribed, seen),
    )
    names, of = Names(structure), format_of(structure)
    rows = [
        (*_summary(name, found, size), _named(names, found, known=name.startswith("described")), of)
        for name, found in zip(CLASSES, sets, strict=True)
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _named(names: Names, found: pl.DataFrame, *, known: bool) -> list[str]:
    bounds = found.head(_MOST_NAMED).select("start", "end").iter_rows()
    said = [names.of(start, end) if known else names.around(end) for start, end in bounds]
    return said + [""] * (found.height - len(said))


def _inside(extents: pl.DataFrame, size: int) -> pl.DataFrame:
    return ranges.complement(ranges.complement(extents, size), size)


def _summary(name: str, found: pl.DataFrame, size: int) -> tuple[object, ...]:
    total = int((found["end"] - found["start"]).sum())
    starts, ends = found["start"].to_list(), found["end"].to_list()
    return name, total, total / size if size else None, found.height, starts, ends
