"""Follower: reads a journal into the frame, whether its mount runs, has ended, or was killed.

`Follower.read` gives what has come since the last call. Requests of one call are joined to one row; a call of which more is to
come waits until it is whole, or until its thread does something else. Records are decoded a segment at a
time, so that reading costs memory for 65,536 events and one row per call that waits, whatever the session holds.

While a journal grows, reading stops at the first place that is not filled yet (`fmrw.trace.records`); `flush` says that nothing more
will come. What is missing or cannot be (a cut file, a flipped bit) is left out with a `DamagedWarning`; all else loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.capture.recorder import journal as log
from fmrw.trace import schema
from fmrw.trace.names import Names
from fmrw.trace.records import Segments, count, open_head, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST = (1 << 63) - 1
_OPS = pl.Series("op", [*schema.OPS[: log.VOID], None, *schema.OPS[log.VOID :]], dtype=pl.Enum(schema.OPS))
_FIDELITY = pl.Series("fidelity", schema.FIDELITIES, dtype=pl.Enum(schema.FIDELITIES))


class Follower:
    """Read a journal from its beginning, and on while it grows.

    Parameters
    ----------
    directory : int
        Descriptor of the journal's folder; the caller keeps it open.

    Attributes
    ----------
    rows : int
        Events given so far.

    Raises
    ------
    SessionError
        The folder is no journal of ours.
    """

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self.head = open_head(directory)
        self.names = Names(directory)
        self._segments = Segments(directory, self.head)
        self._parts = pl.DataFrame(schema=_PARTS)
        self.rows = 0

    def read(self) -> pl.DataFrame:
        """Give the events since the last call as one frame of `schema.EVENTS`."""
        frames = list(self.batches())
        return pl.concat(frames) if frames else schema.empty()

    def batches(self) -> Iterator[pl.DataFrame]:
        """Give the events since the last call, a frame per segment."""
        ended = bool(self.head.counter("closed"))
        for records in self._segments.new():
            yield self._frame(records)
        if ended:
            yield from self.flush()

    def flush(self) -> Iterator[pl.DataFrame]:
        """Give what stands behind unfilled places and the calls that waited for more: nothing more will come."""
        for records in self._segments.rest():
            yield self._frame(records)
        if self._parts.height:
            whole, self._parts = _finished(self._parts), self._parts.clear()
            self.rows += whole.height
            yield whole
        self._segments.tell_cut()

    def count(self) -> int:
        """Count the records that are there, without decoding them."""
        return count(self._directory)

    def close(self) -> None:
        """Close what was opened here; what was read stays."""
        self.head.keep()
        self.names.close()
        self._segments.close()

    def _frame(self, records: pl.DataFrame) -> pl.DataFrame:
        self.names.refresh()
        parts = self._decode(_possible(records))
        pieces = (parts["flags"] & (log.MORE | log.CONTINUES)) != 0
        if not self._parts.height and not pieces.any():
            frame = parts.select(schema.EVENTS.names())
        else:
            waiting = _folded(pl.concat([self._parts, parts.filter(pieces)]))
            whole, self._parts = _settled(waiting, parts)
            frame = pl.concat([parts.filter(~pieces).select(schema.EVENTS.names()), _finished(whole)]).sort(
                "seq"
            )
        self.rows += frame.height
        return frame

    def _decode(self, records: pl.DataFrame) -> pl.DataFrame:
        truncated, start = pl.col("op") == log.TRUNCATE, pl.col("start")
        return records.select(
            "seq",
            (pl.col("time_ns") // 1000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("time"),
            _OPS.gather(records["op"].cast(pl.UInt32)),
            _names(self.names.paths, records["path"]),
            "call",
            pl.when(truncated).then(0).otherwise(start).alias("start"),
            pl.when(truncated).then(start).otherwise(start + pl.col("length").cast(pl.Int64)).alias("end"),
            pl.col("requested").cast(pl.Int64),
            "size",
            _FIDELITY.gather((records["flags"] & log.PAGE).cast(pl.UInt32)),
            pl.col("handle").cast(pl.Int64),
            self._of_processes("pid", records["process"], pl.Int32()),
            "tid",
            self._of_processes("name", records["process"]).alias("process"),
            pl.col("errno").cast(pl.Int32),
            self._of_processes("thread", records["process"]),
            _sites(records["site"]),
            "flags",
            pl.col("seq").alias("latest"),
        )

    def _of_processes(self, fact: str, numbers: pl.Series, dtype: pl.DataType | None = None) -> pl.Series:
        return _names({n: known[fact] for n, known in self.names.processes.items()}, numbers, dtype).alias(
            fact
        )


def _sites(numbers: pl.Series) -> pl.Series:
    """Give the numbers of sites; 0 says that there is none."""
    found = numbers.cast(pl.Int32).alias("site")
    return found.set(found == 0, None)


_PARTS = pl.Schema({**schema.EVENTS, "flags": pl.UInt8(), "latest": pl.Int64()})
"""What is known of a call so far; `flags` and `latest`, the place, are those of its last request."""


def _possible(records: pl.DataFrame) -> pl.DataFrame:
    """Keep the records that can be: known operations, ranges and sizes that fit into a file, times that clocks tell.

    What is let through here must also be what `fmrw.trace.parquet.tables` lets through: once sealed, there is no journal to go back to.
    """
    start = pl.col("start")
    fits = (start >= 0) & (start <= _MOST - pl.col("length").cast(pl.Int64)) & (pl.col("size") >= 0)
    fits &= pl.col("time_ns") >= 0
    can_be = records.select(fits & (pl.col("op") < len(_OPS))).to_series()
    damaged = records.height - can_be.sum()
    if damaged:
        warn(f"{damaged:,} records of the journal are damaged and left out")
    return records.filter(can_be, pl.col("op") != log.VOID)


def _names(table: Mapping[int, Any], numbers: pl.Series, dtype: pl.DataType | None = None) -> pl.Series:
    """Look numbers up in a table of names; a number whose name was lost stays readable as `?17`."""
    used = numbers.unique().sort()
    missing = (lambda _number: 0) if dtype is not None else (lambda number: f"?{number}")
    values = [table.get(number, missing(number)) for number in used.to_list()]
    return pl.Series(numbers.name, values, dtype=dtype or pl.String()).gather(used.search_sorted(numbers))


def _settled(waiting: pl.DataFrame, batch: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part calls into those that are whole and those that wait for more.

    A call is whole when its last piece does not announce more, or when its thread has gone on to another call.
    """
    moved_on = batch.group_by("tid").agg(pl.col("seq").max().alias("moved_on"))
    known = waiting.join(moved_on, on="tid", how="left", maintain_order="left")
    waits = ((known["flags"] & log.MORE) != 0) & (known["moved_on"].fill_null(-1) <= known["latest"])
    return waiting.filter(~waits), waiting.filter(waits)


def _folded(parts: pl.DataFrame) -> pl.DataFrame:
    """Make one row of the pieces of each call."""
    first = ("op", "path", "start", "fidelity", "handle", "pid", "tid", "process", "thread", "site")
    moved = pl.col("end").last() > pl.col("start").first()
    return (
        parts.group_by("call")
        .agg(
            pl.col("seq").first(),
            pl.col(*first).first(),
            pl.col("time", "end", "size", "flags", "latest").last(),
            pl.col("requested").sum(),
            pl.when(moved).then(0).otherwise(pl.col("errno").last()).cast(pl.Int32).alias("errno"),
        )
        .select(_PARTS.names())
        .sort("seq")
    )


def _finished(calls: pl.DataFrame) -> pl.DataFrame:
    return calls.select(schema.EVENTS.names())
