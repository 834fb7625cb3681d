"""Effects on disk: what a probe found about the bytes of files, beside the events of its session.

What a byte range does to a program, and for which values; of a number that steers, where it lies and what it steers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.errors import SessionError
from fmrw.text import visible
from fmrw.trace import folder as names
from fmrw.trace.facts import replacing
from fmrw.trace.parquet import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE = names.EFFECTS

EFFECTS = pl.Schema(
    {
        "path": pl.String(),
        "command": pl.String(),
        "start": pl.Int64(),
        "end": pl.Int64(),
        "class": pl.String(),
        "values": pl.List(pl.Int64()),
        "effect": pl.String(),
        "field_start": pl.Int64(),
        "field_end": pl.Int64(),
        "field": pl.String(),
        "access": pl.Int64(),
        "byteorder": pl.String(),
        "scale": pl.Int64(),
    }
)
"""Columns of `Trace.effects`: half-open ranges of each file, in order, that cover it; `class` is null where it is not settled what a byte does."""

OF_FIELD = {
    "field_start": "start",
    "field_end": "end",
    "field": "kind",
    "access": "access",
    "byteorder": "byteorder",
    "scale": "scale",
}
"""Column → name in JSON, of a number that steers."""


_MISSING = frozenset({"class", *OF_FIELD})  # values that need not be there


def frame(path: str, command: str, ranges: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Make a frame of `EFFECTS` of ranges as JSON has them."""
    rows = []
    for each in ranges:
        field = each["field"] or {}
        rows.append(
            {
                **{name: each[name] for name in ("start", "end", "class", "values", "effect")},
                **{column: field.get(name) for column, name in OF_FIELD.items()},
                "path": path,
                "command": command,
            }
        )
    return pl.DataFrame(rows, schema=EFFECTS, orient="row")


def write(found: pl.DataFrame, folder: Path) -> None:
    """Write effects into a session's folder, in the place of those before."""
    try:
        with replacing(folder / FILE) as temporary, temporary.open("wb") as file:
            found.write_parquet(file)  # polars takes no names that are not UTF-8
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SessionError(
            f"{visible(str(folder))}: {visible(reason)}; make room, or choose another folder."
        ) from error


def read(folder: Path | None) -> pl.DataFrame:
    """Read the effects of a session; none where nothing was probed.

    Raises
    ------
    SessionError
        They are damaged, claim what cannot be, or were not written by fmrw.
    """
    if folder is None or not (folder / FILE).exists():
        return pl.DataFrame(schema=EFFECTS)
    return tables.scan(folder / FILE, EFFECTS, _MISSING).collect()
