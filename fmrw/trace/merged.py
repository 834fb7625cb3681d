"""Merged ranges: what each process read and wrote of each file, without what happened again and again.

A frame of `MERGED` has one row for each merged range of each file, process and operation, sorted by these and by `start`. A group of file,
process and operation has its number of events and what its last event said in its first row; there is one such row, [0, 0), for a group
that moved no bytes. All totals, coverages and gaps of a session follow from it, and it is small however often bytes were read.

Events are taken in batch after batch in any order (`Merging`), and what is held is as large as the answer, not as the session. Within a batch,
events that follow or overlap the one before in their group are joined first, which leaves little to sort where files are read in order.

Limits. Bytes read here and there, or by processes that take turns, may be many ranges. From some number on, those of all processes are
held together (as `NOBODY`'s), and if these are still too many, none.

Many ranges are merged by numpy (`fmrw.trace.runs`), which takes as long to import as most commands run; a few by polars alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEYS = ("path", "process", "pid", "op")
NEEDED = (*KEYS, "seq", "start", "end", "requested", "size", "fidelity")
"""Columns of events that merging looks at."""

MERGED = pl.Schema(
    {
        **{name: schema.EVENTS[name] for name in KEYS},
        "start": pl.Int64(),
        "end": pl.Int64(),
        "events": pl.Int64(),
        "transfers": pl.Int64(),
        "seq": pl.Int64(),
        "size": pl.Int64(),
        "fidelity": schema.EVENTS["fidelity"],
        "smallest": pl.Int64(),
    }
)
"""`events` and `transfers` (those that moved bytes), `seq` and `size` of the last, `fidelity` (`page` if any is) and `smallest`, the bytes of the
smallest request among the transfers (0 if unknown), stand in the first row of a group, and are 0 and `byte` in its others."""

NOBODY_PID = -1
NOBODY = {"process": pl.lit("", pl.String()), "pid": pl.lit(NOBODY_PID, pl.Int32())}
"""Whose ranges are those that are held for all processes together; no events belong to it."""

_COUNTS = ("events", "transfers", "seq", "size", "fidelity", "smallest")
_GROUPS = pl.Schema({name: MERGED[name] for name in (*KEYS, *_COUNTS)})
_RANGES = pl.Schema({name: MERGED[name] for name in (*KEYS, "start", "end")})
_MOVING = ("read", "write")
_MOVED = pl.col("op").is_in(_MOVING) & (pl.col("end") > pl.col("start"))
_PILE = 1 << 19
_FEW = 1 << 12  # rows
_LONG = 8  # events of one group in a row, on the average, from which on they are looked at as runs
BATCH = 1 << 18
"""Events that are read at once."""


class Merging:
    """Take in events; give their merged ranges.

    Parameters
    ----------
    by_process : int, optional
        Rows up to which the ranges of each process are held by themselves; 0, the default, for those of all together.
    most : int, optional
        Rows that are held at all, about; no limit if not given.
    """

    def __init__(self, by_process: int = 0, most: int | None = None) -> None:
        self._by_process, self._most = by_process, most
        self._apart = by_process > 0
        self._groups, self._ranges = [_GROUPS.to_frame()], [_RANGES.to_frame()]
        self._piled, self._held = 0, 0
        self.overflowed = False

    def add(self, events: pl.DataFrame) -> None:
        """Take in events, in any order; they need the columns `NEEDED`."""
        if self.overflowed or not events.height:
            return
        groups, ranges = _taken(events, apart=self._apart)
        self._groups.append(groups)
        self._ranges.append(ranges)
        self._piled += self._groups[-1].height + self._ranges[-1].height
        if self._piled > max(_PILE, self._held):
            self._settle()

    def frame(self) -> pl.DataFrame | None:
        """Give the merged ranges of all events up to now; None if they are too many."""
        self._settle()
        return None if self.overflowed else _beside(self._groups[0], self._ranges[0])

    def _settle(self) -> None:
        """Merge what was piled up with what was merged before."""
        if self.overflowed:
            return
        self._groups = [_summed(pl.concat(self._groups))]
        self._ranges = [_joined(pl.concat(self._ranges), apart=self._apart)]
        if self._apart and self._ranges[0].height > self._by_process:
            self._apart = False
            self._ranges = [_joined(self._ranges[0], apart=False)]
        self._held, self._piled = self._groups[0].height + self._ranges[0].height, 0
        if self._most is not None and self._held > self._most:
            self.overflowed = True
            self._groups, self._ranges = [], []


def merged(events: pl.LazyFrame | pl.DataFrame) -> pl.DataFrame:
    """Give the merged ranges of events, those of all processes together; a lazy frame is read piece by piece.

    Returns
    -------
    frame of `MERGED`
        Sorted by file, process, operation and `start`.
    """
    merging = Merging()
    for batch in _batches(events):
        merging.add(batch)
    frame = merging.frame()
    return MERGED.to_frame() if frame is None else frame


def _batches(events: pl.LazyFrame | pl.DataFrame) -> Iterable[pl.DataFrame]:
    if isinstance(events, pl.DataFrame):
        return events.select(NEEDED).iter_slices(BATCH)
    return events.select(NEEDED).collect_batches(chunk_size=BATCH, maintain_order=True)


def _taken(events: pl.DataFrame, *, apart: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the groups and the ranges of one batch."""
    if events.height > _FEW and events["seq"].is_sorted():
        from fmrw.trace import runs  # noqa: PLC0415 - numpy, see above

        begun = runs.begins(events, KEYS)
        if begun.sum() * _LONG <= events.height:
            groups, ranges = runs.summed(events, KEYS, begun, _MOVING)
            return _typed(groups.lazy(), _GROUPS), _owned(ranges, apart=apart)
    return _counted(events), _joined(events.filter(_MOVED), apart=apart)


def _counted(events: pl.DataFrame) -> pl.DataFrame:
    """Give the groups of one batch."""
    last = pl.col("seq").arg_max()
    return _typed(
        events.lazy()
        .group_by(KEYS)
        .agg(
            events=pl.len(),
            transfers=_MOVED.sum(),
            last=pl.col("seq").max(),
            size=pl.col("size").get(last).fill_null(0),
            paged=(pl.col("fidelity") == "page").any(),
            smallest=pl.col("requested").filter(_MOVED, pl.col("requested") > 0).min().fill_null(0),
        )
        .with_columns(
            seq=pl.col("last"), fidelity=pl.when("paged").then(pl.lit("page")).otherwise(pl.lit("byte"))
        ),
        _GROUPS,
    )


def _summed(groups: pl.DataFrame) -> pl.DataFrame:
    """Give each group once."""
    paged = (pl.col("fidelity") == "page").any()
    return _typed(
        groups.lazy()
        .group_by(KEYS)
        .agg(
            pl.col("events", "transfers").sum(),
            last=pl.col("seq").max(),
            size=pl.col("size").get(pl.col("seq").arg_max()),
            fidelity=pl.when(paged).then(pl.lit("page")).otherwise(pl.lit("byte")),
            smallest=pl.col("smallest").filter(pl.col("smallest") > 0).min().fill_null(0),
        )
        .with_columns(seq=pl.col("last")),
        _GROUPS,
    )


def _joined(ranges: pl.DataFrame, *, apart: bool) -> pl.DataFrame:
    """Merge ranges, those of each process or of all processes together."""
    whose = KEYS if apart else ("path", "op")
    return _owned((_joined_few if ranges.height <= _FEW else _joined_many)(ranges, whose), apart=apart)


def _owned(ranges: pl.DataFrame, *, apart: bool) -> pl.DataFrame:
    """Say whose ranges they are, if not of each process."""
    return _typed(ranges.lazy() if apart else ranges.lazy().with_columns(**NOBODY), _RANGES)


def _joined_many(ranges: pl.DataFrame, whose: Sequence[str]) -> pl.DataFrame:
    from fmrw.trace import runs  # noqa: PLC0415 - numpy, see above

    return runs.joined(ranges, whose)


def _joined_few(ranges: pl.DataFrame, whose: Sequence[str]) -> pl.DataFrame:
    """Merge ranges by polars alone: a merged range begins where a start lies past the end before it, of those sorted apart from each other."""
    starts, ends = pl.col("start"), pl.col("end")
    begins = (starts > ends.shift(1)).fill_null(value=True)
    return (
        ranges.lazy()
        .group_by(whose)
        .agg(starts.sort(), ends.sort())
        .explode("start", "end")
        .group_by(whose)
        .agg(starts.filter(begins), ends.filter(begins.shift(-1).fill_null(value=True)))
        .explode("start", "end")
        .collect()
    )


def _typed(frame: pl.LazyFrame, columns: pl.Schema) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(kind) for name, kind in columns.items()).collect()


def _beside(groups: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """Set groups beside their ranges, which are sorted by start: numbers in the first row of each.

    The groups are sorted, with their ranges in lists, and not the ranges, of which there may be millions.
    """
    held = ranges.lazy().group_by(KEYS).agg("start", "end")
    rows = (
        groups.lazy()
        .join(held, on=KEYS, how="full", coalesce=True, nulls_equal=True)
        .sort(*KEYS)
        .with_row_index("group")
        .explode("start", "end")
        .with_columns(pl.col("start", "end").fill_null(0), first=pl.col("group").is_first_distinct())
    )
    nothing = {name: "byte" if name == "fidelity" else 0 for name in _COUNTS}
    return _typed(
        rows.with_columns(
            pl.when("first").then(pl.col(name).fill_null(none)).otherwise(pl.lit(none)).alias(name)
            for name, none in nothing.items()
        ),
        MERGED,
    )
