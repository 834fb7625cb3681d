"""Effects: what bytes do to a program, as sets of bytes and by the parts of a format.

Frames are those of `fmrw.trace.effects`, of ONE file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.compare import Run
from fmrw.analysis.structure.naming import is_bracket

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSES = (
    "unread", "ignored", "redundant", "conditional", "content", "checked", "decides", "steers", "crash", "hang",
)  # fmt: skip
"""From what matters least to what matters most."""
UNSETTLED = "not settled"
"""What bytes without a class are called: those not tried, and those of which a search that was stopped has not proved that they do not matter."""


def of_classes(effects: pl.DataFrame, classes: Sequence[str], size: int, name: str | None = None) -> Run:
    """Give the bytes of some classes as a set: `of_classes(a, ["steers"], n) & of_classes(b, ["ignored"], n)`."""
    found = effects.filter(pl.col("class").is_in(list(classes))).select("start", "end")
    return Run(name or " or ".join(classes), size, ranges.merge(found))


def by_part(structure: pl.DataFrame, effects: pl.DataFrame) -> pl.DataFrame:
    """Count the bytes of each class in each part of a format.

    Parameters
    ----------
    structure
        Frame of `start`, `end`, `name`, `depth`, as `fmrw.analysis.structure.structure` gives it.
    effects
        Frame of `start`, `end`, `class`.

    Returns
    -------
    frame
        One row per part, in the order of the file: `part`, `start`, `end`, then a column of bytes per class that occurs.
    """
    parts = structure.filter(~is_bracket()).select("name", "start", "end").unique(maintain_order=True)
    known = effects.with_columns(pl.col("class").fill_null(UNSETTLED))
    order = [*CLASSES, UNSETTLED]
    columns = sorted(known["class"].unique(), key=order.index)
    rows = []
    for name, start, end in parts.iter_rows():
        inside = known.filter(pl.col("start") < end, pl.col("end") > start)
        sizes = inside.select(
            "class", size=pl.min_horizontal("end", pl.lit(end)) - pl.max_horizontal("start", pl.lit(start))
        )
        counted = dict(sizes.group_by("class").agg(pl.col("size").sum()).iter_rows())
        rows.append((name, start, end, *(int(counted.get(column, 0)) for column in columns)))
    schema = {
        "part": pl.String(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        **dict.fromkeys(columns, pl.Int64()),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def side_by_side(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Set two maps of one file against each other.

    Returns
    -------
    frame of `start`, `end`, `a`, `b`
        Ranges in order that cover the file, with both classes.
    """
    borders = sorted({*a["start"], *a["end"], *b["start"], *b["end"]})
    cut = pl.DataFrame(
        {"start": borders[:-1], "end": borders[1:]}, schema={"start": pl.Int64(), "end": pl.Int64()}
    )
    for name, found in (("a", a), ("b", b)):
        cut = cut.join_asof(
            found.select("start", pl.col("class").alias(name)), on="start", strategy="backward"
        )
    alike = pl.struct("a", "b").rle_id()
    return (
        cut.group_by(alike.alias("run"), maintain_order=True)
        .agg(pl.col("start").first(), pl.col("end").last(), pl.col("a").first(), pl.col("b").first())
        .drop("run")
    )
