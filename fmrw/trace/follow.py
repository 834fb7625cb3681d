"""Follower: reads a journal into the frame, whether its mount runs, has ended, or was killed.

`Follower.read` gives what has come since the last call. Requests of one call are joined to one row; a call of which more is to
come waits until it is whole, or until its thread does something else. Records are decoded a segment at a time with
numpy, so that reading costs memory for 65,536 events and one row per call that waits, whatever the session holds.

While a journal grows, reading stops at the first place that is not filled yet (`fmrw.trace.records`); `flush` says that nothing more
will come. What is missing or cannot be (a cut file, a flipped bit) is left out with a `DamagedWarning`; all else loads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fmrw.capture.recorder import journal as log
from fmrw.trace import schema
from fmrw.trace.names import Names
from fmrw.trace.records import Segments, count, open_head, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_MOST = np.iinfo(np.int64).max
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
        for seq, records in self._segments.new():
            yield self._frame(seq, records)
        if ended:
            yield from self.flush()

    def flush(self) -> Iterator[pl.DataFrame]:
        """Give what stands behind unfilled places and the calls that waited for more: nothing more will come."""
        for seq, records in self._segments.rest():
            yield self._frame(seq, records)
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

    def _frame(self, seq: NDArray[np.intp], records: NDArray[np.void]) -> pl.DataFrame:
        self.names.refresh()
        parts = self._decode(*_possible(seq.astype(np.int64), records))
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

    def _decode(self, seq: NDArray[np.int64], records: NDArray[np.void]) -> pl.DataFrame:
        truncated = records["op"] == log.TRUNCATE
        start = np.where(truncated, 0, records["start"])
        end = np.where(truncated, records["start"], start + records["length"])
        process = records["process"].astype(np.int64)
        return pl.DataFrame(
            {
                "seq": seq,
                "time": pl.Series(records["time_ns"] // 1000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
                "op": _OPS.gather(records["op"].astype(np.uint32)),
                "path": _names(self.names.paths, records["path"].astype(np.int64), "path"),
                "call": records["call"],
                "start": start,
                "end": end,
                "requested": records["requested"].astype(np.int64),
                "size": records["size"],
                "fidelity": _FIDELITY.gather((records["flags"] & log.PAGE).astype(np.uint32)),
                "handle": records["handle"].astype(np.int64),
                "pid": self._of_processes("pid", process, "pid", pl.Int32()),
                "tid": records["tid"],
                "process": self._of_processes("name", process, "process"),
                "errno": records["errno"].astype(np.int32),
                "thread": self._of_processes("thread", process, "thread"),
                "flags": records["flags"],
                "latest": seq,
            }
        )  # fmt: skip

    def _of_processes(
        self, fact: str, numbers: NDArray[np.int64], column: str, dtype: pl.DataType | None = None
    ) -> pl.Series:
        return _names({n: known[fact] for n, known in self.names.processes.items()}, numbers, column, dtype)


_PARTS = pl.Schema({**schema.EVENTS, "flags": pl.UInt8(), "latest": pl.Int64()})
"""What is known of a call so far; `flags` and `latest`, the place, are those of its last request."""


def _possible(
    seq: NDArray[np.int64], records: NDArray[np.void]
) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Keep the records that can be: known operations, ranges and sizes that fit into a file."""
    start, size = records["start"], records["size"]
    fits = (start >= 0) & (start <= _MOST - records["length"].astype(np.int64)) & (size >= 0)
    known = records["op"] < len(_OPS)
    damaged = np.count_nonzero(~(fits & known))
    if damaged:
        warn(f"{damaged:,} records of the journal are damaged and left out")
    kept = fits & known & (records["op"] != log.VOID)
    return seq[kept], records[kept]


def _names(
    table: Mapping[int, Any], numbers: NDArray[np.int64], column: str, dtype: pl.DataType | None = None
) -> pl.Series:
    """Look numbers up in a table of names; a number whose name was lost stays readable as `?17`."""
    kind = dtype or pl.String()
    if not len(numbers):
        return pl.Series(column, [], dtype=kind)
    used, places = np.unique(numbers, return_inverse=True)
    missing = (lambda _number: 0) if dtype is not None else (lambda number: f"?{number}")
    values = [table.get(number, missing(number)) for number in used.tolist()]
    return pl.Series(column, values, dtype=kind).gather(places.astype(np.uint32))


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
    first = ("op", "path", "start", "fidelity", "handle", "pid", "tid", "process", "thread")
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
