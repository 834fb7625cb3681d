"""Records: what stands in a journal's segments, as frames, in the order of the session.

While a journal grows, reading stops at the first place that is not filled yet (`Segments.new`). `Segments.rest` says that nothing more
will come: places that were never filled are passed over then. What is missing or damaged is left out with a `DamagedWarning`.

A few records are taken apart by `struct`, many by numpy, which takes as long to import as most commands run.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING

import polars as pl

from fmrw.capture.recorder import journal as log
from fmrw.errors import NewerSchema, SessionError
from fmrw.trace.foreign import DamagedWarning
from fmrw.trace.names import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {"q": pl.Int64(), "I": pl.UInt32(), "i": pl.Int32(), "H": pl.UInt16(), "B": pl.UInt8()}
FIELDS = pl.Schema({name: _KINDS[code] for name, code in log.FIELDS})
"""Columns of a frame of records, beside `seq`, their places in the session."""
_FEW = 4096
_MARK = log.MARK.to_bytes(2, "little")


class Segments:
    """The segments of one journal, read from the first on.

    Parameters
    ----------
    directory : int
        Descriptor of the journal's folder; the caller keeps it open.
    head : Head
        The journal's head.
    """

    def __init__(self, directory: int, head: log.Head) -> None:
        self._directory = directory
        self._head = head
        self._number = 0
        self._fd: int | None = None
        self._place = 0
        self._reached = 0
        self._cut = False

    def new(self) -> Iterator[pl.DataFrame]:
        """Give what has been recorded since the last call, a frame for each segment."""
        while self._fd is not None or self._open(self._number):
            data = self._ready()
            if not data:
                return
            yield self._advance(fields(data), len(data) // log.RECORD.size)
            if self._place < log.SEGMENT:
                return
            self.close()
            self._number += 1

    def _ready(self) -> bytes:
        """Read the records that are there from the present place on: up to the first without its mark.

        A record may be written while it is copied, so that its mark is there and its beginning is not; what was marked
        in a first copy is whole in a second.
        """
        return self._copy(marked(self._copy(log.SEGMENT)))

    def rest(self) -> Iterator[pl.DataFrame]:
        """Read on behind what was never filled, cut off or lost; no more than what is there."""
        for number in self._numbers():
            if self._fd is None or number != self._number:
                self.close()
                self._cut |= number != self._number
                self._number = number
                self._open(number)
            records = fields(self._copy(log.SEGMENT)).with_row_index("place")
            there = records.filter(pl.col("mark") == log.MARK)
            until = int(there["place"][-1]) + 1 if there.height else 0
            self._examine(records.height, records.head(until).filter(pl.col("mark") != log.MARK))
            if until:
                yield self._advance(there, until)
            self.close()
            self._number += 1

    def _numbers(self) -> list[int]:
        """Give the numbers of the segments from the present one on, even where one between is missing."""
        found = (re.fullmatch(r"(\d{6,12})\.events", name) for name in os.listdir(self._directory))  # noqa: PTH208 - a descriptor
        return sorted(number for match in found if match and (number := int(match[1])) >= self._number)

    def _examine(self, count: int, holes: pl.DataFrame) -> None:
        """Look for damage: a closed journal has no holes, a hole no content, and an open one whole segments."""
        closed = self._head.counter("closed")
        self._cut |= not closed and self._place + count != log.SEGMENT
        if holes.height and (
            closed or holes.select(pl.any_horizontal(pl.col(FIELDS.names()) != 0).any()).item()
        ):
            warn(f"{holes.height:,} records of the journal are damaged and left out")

    def tell_cut(self) -> None:
        """Warn of what is missing at the end, once all has been read."""
        missing = self._head.counter("records") - self._reached if self._head.counter("closed") else 0
        if missing > 0:
            warn(f"the journal is cut, its last {missing:,} records are missing; all before them is loaded")
        elif self._cut:
            warn("the journal is cut; all that is there is loaded")

    def _advance(self, records: pl.DataFrame, count: int) -> pl.DataFrame:
        """Go on behind `count` places, and number the records that stand there."""
        base = self._number * log.SEGMENT + self._place
        self._place += count
        self._reached = base + count
        place = pl.col("place") if "place" in records.columns else pl.int_range(pl.len())
        return records.select(place.cast(pl.Int64).alias("seq") + base, *FIELDS.names())

    def _open(self, number: int) -> bool:
        name = b"%06d.events" % number
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        self._fd = open_regular(self._directory, name)
        self._place = 0
        return True

    def close(self) -> None:
        """Close the segment that is open."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _copy(self, most: int) -> bytes:
        """Copy whole records from the present place on, `most` at most, not over the segment's end."""
        if self._fd is None:
            return b""
        count = min(most, log.SEGMENT - self._place)
        data = os.pread(self._fd, count * log.RECORD.size, self._place * log.RECORD.size)
        return data[: len(data) // log.RECORD.size * log.RECORD.size]


def fields(data: bytes) -> pl.DataFrame:
    """Take records apart: a frame of `FIELDS`."""
    if len(data) <= _FEW * log.RECORD.size:
        return pl.DataFrame(list(log.RECORD.iter_unpack(data)), schema=FIELDS, orient="row")
    import numpy as np  # noqa: PLC0415 - see above

    records = np.frombuffer(data, np.dtype([(name, f"<{code}") for name, code in log.FIELDS]))
    return pl.DataFrame({name: records[name] for name in FIELDS}, schema=FIELDS)


def marked(data: bytes) -> int:
    """Count the records at the beginning that have their marks."""
    size = log.RECORD.size
    columns = ((data[size - 2 + place :: size], _MARK[place : place + 1]) for place in range(2))
    return min(len(column) - len(column.lstrip(byte)) for column, byte in columns)


def warn(what: str) -> None:
    """Tell the caller what is left out."""
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
    size = log.RECORD.size
    pairs = zip(data[size - 2 :: size], data[size - 1 :: size], strict=False)
    return (len(names) - 1) * log.SEGMENT + sum(pair == tuple(_MARK) for pair in pairs)


def open_head(directory: int) -> log.Head:
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
