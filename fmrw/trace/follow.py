"""Follower: reads a journal into the frame, whether its mount runs, has ended, or was killed.

`Follower.read` gives what has come since the last call. Requests of one call are joined to one row; a call of which more is to
come waits until it is whole, or until its thread does something else. Records are decoded a segment at a time with
numpy, so that reading costs memory for 65,536 events and one row per call that waits, whatever the session holds.

While a journal grows, reading stops at the first place that is not filled yet. `flush` says that nothing more will come: places
that were never filled are passed over then. What is missing or cannot be (a cut file, a flipped bit) is left out with
a `DamagedWarning`; all else loads.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

from fmrw.capture.recorder import journal as log
from fmrw.errors import NewerSchema, SessionError
from fmrw.trace import schema
from fmrw.trace.foreign import DamagedWarning
from fmrw.trace.names import Names, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_NUMPY = {"q": "<i8", "I": "<u4", "i": "<i4", "H": "<u2", "B": "u1"}
DTYPE = np.dtype([(name, _NUMPY[code]) for name, code in log.FIELDS])
_MOST = np.iinfo(np.int64).max
_Numbered: TypeAlias = "tuple[NDArray[np.intp], NDArray[np.void]]"
"""Records and their places in the session."""
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
        self.head = _open_head(directory)
        self.names = Names(directory)
        self._number = 0
        self._fd: int | None = None
        self._place = 0
        self._reached = 0
        self._cut = False
        self._parts = pl.DataFrame(schema=_PARTS)
        self.rows = 0

    def read(self) -> pl.DataFrame:
        """Give the events since the last call as one frame of `schema.EVENTS`."""
        frames = list(self.batches())
        return pl.concat(frames) if frames else schema.empty()

    def batches(self) -> Iterator[pl.DataFrame]:
        """Give the events since the last call, a frame per segment."""
        ended = bool(self.head.counter("closed"))
        for seq, records in self._records():
            yield self._frame(seq, records)
        if ended:
            yield from self.flush()

    def flush(self) -> Iterator[pl.DataFrame]:
        """Give what stands behind unfilled places and the calls that waited for more: nothing more will come."""
        for seq, records in self._remains():
            yield self._frame(seq, records)
        if self._parts.height:
            whole, self._parts = _finished(self._parts), self._parts.clear()
            self.rows += whole.height
            yield whole
        self._tell_cut()

    def count(self) -> int:
        """Count the records that are there, without decoding them."""
        return count(self._directory)

    def close(self) -> None:
        """Close what was opened here; what was read stays."""
        self.head.keep()
        self.names.close()
        self._shut()

    # Records

    def _records(self) -> Iterator[_Numbered]:
        while self._fd is not None or self._open(self._number):
            records = self._ready()
            if not len(records):
                return
            yield self._advance(np.arange(len(records)), records, len(records))
            if self._place < log.SEGMENT:
                return
            self._shut()
            self._number += 1

    def _ready(self) -> NDArray[np.void]:
        """Read the records that are there from the present place on: up to the first without its mark.

        A record may be written while it is copied, so that its mark is there and its beginning is not; what was marked
        in a first copy is whole in a second.
        """
        unmarked = np.flatnonzero(self._copy(log.SEGMENT)["mark"] != log.MARK)
        return self._copy(int(unmarked[0]) if len(unmarked) else log.SEGMENT)

    def _remains(self) -> Iterator[_Numbered]:
        """Read on behind what was never filled, cut off or lost; no more than what is there."""
        for number in self._numbers():
            if self._fd is None or number != self._number:
                self._shut()
                self._cut |= number != self._number
                self._number = number
                self._open(number)
            records = self._copy(log.SEGMENT)
            marked = records["mark"] == log.MARK
            places = np.flatnonzero(marked)
            self._examine(records, marked, places)
            if len(places):
                yield self._advance(places, records[places], int(places[-1]) + 1)
            self._shut()
            self._number += 1

    def _numbers(self) -> list[int]:
        """Give the numbers of the segments from the present one on, even where one between is missing."""
        found = (re.fullmatch(r"(\d{6,12})\.events", name) for name in os.listdir(self._directory))  # noqa: PTH208 - a descriptor
        return sorted(number for match in found if match and (number := int(match[1])) >= self._number)

    def _examine(
        self, records: NDArray[np.void], marked: NDArray[np.bool_], places: NDArray[np.intp]
    ) -> None:
        """Look for damage: a closed journal has no holes, a hole no content, and an open one whole segments."""
        closed = self.head.counter("closed")
        whole = self._place + len(records) == log.SEGMENT
        holes = records[: places[-1]][~marked[: places[-1]]] if len(places) else records[:0]
        self._cut |= not closed and not whole
        if len(holes) and (closed or holes.view(np.uint8).any()):
            _warn(f"{len(holes):,} records of the journal are damaged and left out")

    def _tell_cut(self) -> None:
        missing = self.head.counter("records") - self._reached if self.head.counter("closed") else 0
        if missing > 0:
            _warn(f"the journal is cut, its last {missing:,} records are missing; all before them is loaded")
        elif self._cut:
            _warn("the journal is cut; all that is there is loaded")

    def _advance(self, places: NDArray[np.intp], records: NDArray[np.void], count: int) -> _Numbered:
        base = self._number * log.SEGMENT + self._place
        self._place += count
        self._reached = base + count
        return base + places, records

    def _open(self, number: int) -> bool:
        name = b"%06d.events" % number
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        self._fd = open_regular(self._directory, name)
        self._place = 0
        return True

    def _shut(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _copy(self, most: int) -> NDArray[np.void]:
        """Copy records from the present place on, `most` at most, not over the segment's end."""
        if self._fd is None:
            return np.empty(0, DTYPE)
        count = min(most, log.SEGMENT - self._place)
        data = os.pread(self._fd, count * log.RECORD.size, self._place * log.RECORD.size)
        return np.frombuffer(data, DTYPE, len(data) // log.RECORD.size)

    # Events

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
        _warn(f"{damaged:,} records of the journal are damaged and left out")
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


def _warn(what: str) -> None:
    warnings.warn(f"{what}.", DamagedWarning, stacklevel=4)


def count(directory: int) -> int:
    """Count the records of a journal without decoding them.

    Parameters
    ----------
    directory : int
        Descriptor of the journal's folder.
    """
    names = list(log.segments(directory))
    if not names:
        return 0
    fd = open_regular(directory, names[-1])
    try:
        data = os.pread(fd, log.SEGMENT_BYTES, 0)
    finally:
        os.close(fd)
    last = np.frombuffer(data, DTYPE, len(data) // log.RECORD.size)
    return (len(names) - 1) * log.SEGMENT + int(np.count_nonzero(last["mark"] == log.MARK))


def _open_head(directory: int) -> log.Head:
    """Map the head: writable where that is possible, so that the bell can be armed."""
    try:
        fd, writable = open_regular(directory, "head", os.O_RDWR), True
    except SessionError:
        fd, writable = open_regular(directory, "head"), False
    try:
        if os.fstat(fd).st_size != log.HEAD_BYTES:
            raise SessionError(
                "the head of the journal is damaged; its size is not one page. Restore it from a copy."
            )
        head = log.Head(fd, writable=writable)
    finally:
        os.close(fd)
    if head.counter("magic") != log.MAGIC:
        raise SessionError("this is no journal of fmrw; give the folder that fmrw recorded into.")
    if head.counter("version") > log.VERSION:
        raise NewerSchema("this journal was written by a newer fmrw; `pip install --upgrade fmrw` reads it.")
    return head
