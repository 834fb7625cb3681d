"""`ranges.parquet`: the merged ranges of a sealed session, so that totals, coverages and gaps need not look at every event.

A table of `fmrw.trace.merged.MERGED` is written when a session is sealed, if it has more than `WORTH` events and they do merge. It is never
needed: who finds none, or one that does not fit, merges the events.

It fits only if all of this holds:

- `session.json` has its SHA-256, so that it is the table that was written, whole;
- `session.json` has the size of `events.parquet` and the SHA-256 of its footer (the places, sizes and numbers of everything in it), and these
  are still the same, so that it is about these events;
- its claims and its values are those of a table of ours (`fmrw.trace.parquet`), its ranges sorted and apart, and its numbers add up to the
  number of events;
- the first and the last `SAMPLE` events lie in its ranges, and what it says of the last event of a group is what that event says.

So a table that is stale or damaged is found out, and one that somebody made to lie, and bound to the session, as far as a look at
the ends of the session shows it. Whoever can do that could write other events as well.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.errors import SessionError
from fmrw.trace import schema
from fmrw.trace.facts import replacing
from fmrw.trace.folder import EVENTS, RANGES
from fmrw.trace.merged import KEYS, MERGED, NEEDED, NOBODY_PID, Merging
from fmrw.trace.parquet import claims, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

WORTH = 1 << 18
"""Events from which on a table is kept; fewer are merged in a moment."""
SAMPLE = 1 << 15
_BY_PROCESS, _MOST = 1 << 19, 1 << 21
_LARGEST = 1 << 28  # bytes of a table that are read
_HOLDS_BYTES = pl.col("end") > pl.col("start")
_LOOKED_AT = pl.Schema({name: schema.EVENTS[name] for name in NEEDED})


class Watching:
    """Merge events on their way into a file."""

    def __init__(self, batches: Iterator[pl.DataFrame]) -> None:
        self._batches = batches
        self._merging = Merging(_BY_PROCESS, _MOST)
        self._rows = 0

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Give the batches."""
        for batch in self._batches:
            self._merging.add(batch)
            self._rows += batch.height
            yield batch

    def write(self, folder: Path, events: Path) -> dict[str, Any]:
        """Write the table of all that came by, now in the file `events`; give what `session.json` shall say of it."""
        table = self._merging.frame() if self._rows > WORTH else None
        if table is None or table.height > self._rows // 4:
            return {}
        with replacing(folder / RANGES, lasting=True) as temporary:
            with temporary.open("wb") as file:
                table.write_parquet(file, compression="zstd", row_group_size=1 << 18)
            return {"ranges": {"table": _digest(temporary), **_bound_to(events)}}


def read(folder: Path, facts: Mapping[str, Any]) -> pl.DataFrame | None:
    """Give the table of a sealed session; None where there is none that fits."""
    bound = facts.get("ranges")
    try:
        if not isinstance(bound, dict) or bound != {
            "table": _digest(folder / RANGES),
            **_bound_to(folder / EVENTS),
        }:
            return None
        table = tables.rows(folder / RANGES, MERGED)
        group = _groups(table)
        return table if _holds_together(table, group) and _holds(table, group, folder / EVENTS) else None
    except (OSError, ValueError, SessionError):
        return None


def _digest(path: Path) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb") as file:
        if os.fstat(fd).st_size > _LARGEST:
            raise ValueError("too large")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bound_to(events: Path) -> dict[str, Any]:
    fd = os.open(events, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        footer, size = claims.footer(fd), os.fstat(fd).st_size
    finally:
        os.close(fd)
    return {"bytes": size, "footer": hashlib.sha256(footer).hexdigest()}


def _groups(table: pl.DataFrame) -> pl.Series:
    """Give the numbers of the groups of a table, row by row: names of files are dear to compare, and are compared here and nowhere else."""
    other = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in KEYS)
    return table.select(other.fill_null(value=False).cum_sum().alias("group")).to_series()


def _holds_together(table: pl.DataFrame, group: pl.Series) -> bool:
    """Tell whether a table is sorted, its groups and its ranges apart, and its numbers possible."""
    first = group.is_first_distinct()
    if table.filter(first).select(KEYS).is_duplicated().any():
        return False
    same = pl.lit(~first)
    nobody = pl.col("pid") == NOBODY_PID
    wrong = {
        "numbers": pl.min_horizontal("events", "transfers", "seq", "smallest") < 0,
        "more": pl.col("transfers") > pl.col("events"),
        "touching": same & (pl.col("start") <= pl.col("end").shift(1)),
        "repeated": same & (pl.col("events") > 0),
        "uncounted": ~same & (pl.col("events") == 0) & ~nobody,
        "moved": _HOLDS_BYTES & ~pl.col("op").is_in(["read", "write"]),
    }
    return not any(table.select(each.any().alias(name) for name, each in wrong.items()).row(0))


def _holds(table: pl.DataFrame, group: pl.Series, events: Path) -> bool:
    """Tell whether a table is about as many events, and the first and the last of them are in it."""
    if table["events"].sum() != tables.height(events):
        return False
    sample = _merged_apart(tables.ends(events, _LOOKED_AT, SAMPLE), by_process=apart(table))
    return _covers(table, group, sample) and _counts(table, sample)


def apart(table: pl.DataFrame) -> bool:
    """Tell whether a table has the ranges of each process."""
    return not table.select((_HOLDS_BYTES & (pl.col("pid") == NOBODY_PID)).any()).item()


def _merged_apart(events: pl.DataFrame, *, by_process: bool) -> pl.DataFrame:
    merging = Merging(by_process=events.height if by_process else 0)
    merging.add(events)
    frame = merging.frame()
    return MERGED.to_frame() if frame is None else frame


def _covers(table: pl.DataFrame, group: pl.Series, sample: pl.DataFrame) -> bool:
    """Tell whether each range of a sample lies in one of the table; both are sorted within their groups."""
    heads = table.select(KEYS).with_columns(group).filter(group.is_first_distinct())
    one = sample.filter(_HOLDS_BYTES).join(heads, on=KEYS, how="left", maintain_order="left")
    if one["group"].has_nulls():
        return False
    two = table.select("start", until="end").with_columns(group)
    two = two.filter(
        pl.col("group").is_in(one["group"].unique().implode()), pl.col("until") > pl.col("start")
    )
    found = one.join_asof(two, on="start", by="group", check_sortedness=False)
    return bool((found["end"] <= found["until"]).fill_null(value=False).all())


def _counts(table: pl.DataFrame, sample: pl.DataFrame) -> bool:
    """Tell whether the numbers of a sample's groups can be parts of the table's."""
    counted = (frame.filter(pl.col("events") > 0) for frame in (sample, table))
    one, two = counted
    both = one.join(two, on=KEYS, how="left")
    few = pl.col("events") <= pl.col("events_right")
    before = pl.col("seq") < pl.col("seq_right")
    last = (pl.col("seq") == pl.col("seq_right")) & (pl.col("size") == pl.col("size_right"))
    paged = (pl.col("fidelity") == "byte") | (pl.col("fidelity_right") == "page")
    return bool(both.select((few & (before | last) & paged).fill_null(value=False).all()).item())
