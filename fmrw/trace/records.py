"""Records: what stands in a journal's segments, as numpy arrays, in the order of the session.

While a journal grows, reading stops at the first place that is not filled yet (`Segments.new`). `Segments.rest` says that nothing more
will come: places that were never filled are passed over then. What is missing or damaged is left out with a `DamagedWarning`.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fmrw.capture.recorder import journal as log
from fmrw.errors import NewerSchema, SessionError
from fmrw.trace.foreign import DamagedWarning
from fmrw.trace.names import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_NUMPY = {"q": "<i8", "I": "<u4", "i": "<i4", "H": "<u2", "B": "u1"}
DTYPE = np.dtype([(name, _NUMPY[code]) for name, code in log.FIELDS])
"""One record, as `fmrw.capture.recorder.journal` lays it out."""
Numbered: TypeAlias = "tuple[NDArray[np.intp], NDArray[np.void]]"
"""Records and their places in the session."""


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

    def new(self) -> Iterator[Numbered]:
        """Give what has been recorded since the last call, an array for each segment."""
        while self._fd is not None or self._open(self._number):
            records = self._ready()
            if not len(records):
                return
            yield self._advance(np.arange(len(records)), records, len(records))
            if self._place < log.SEGMENT:
                return
            self.close()
            self._number += 1

    def _ready(self) -> NDArray[np.void]:
        """Read the records that are there from the present place on: up to the first without its mark.

        A record may be written while it is copied, so that its mark is there and its beginning is not; what was marked
        in a first copy is whole in a second.
        """
        unmarked = np.flatnonzero(self._copy(log.SEGMENT)["mark"] != log.MARK)
        return self._copy(int(unmarked[0]) if len(unmarked) else log.SEGMENT)

    def rest(self) -> Iterator[Numbered]:
        """Read on behind what was never filled, cut off or lost; no more than what is there."""
        for number in self._numbers():
            if self._fd is None or number != self._number:
                self.close()
                self._cut |= number != self._number
                self._number = number
                self._open(number)
            records = self._copy(log.SEGMENT)
            marked = records["mark"] == log.MARK
            places = np.flatnonzero(marked)
            self._examine(records, marked, places)
            if len(places):
                yield self._advance(places, records[places], int(places[-1]) + 1)
            self.close()
            self._number += 1

    def _numbers(self) -> list[int]:
        """Give the numbers of the segments from the present one on, even where one between is missing."""
        found = (re.fullmatch(r"(\d{6,12})\.events", name) for name in os.listdir(self._directory))  # noqa: PTH208 - a descriptor
        return sorted(number for match in found if match and (number := int(match[1])) >= self._number)

    def _examine(
        self, records: NDArray[np.void], marked: NDArray[np.bool_], places: NDArray[np.intp]
    ) -> None:
        """Look for damage: a closed journal has no holes, a hole no content, and an open one whole segments."""
        closed = self._head.counter("closed")
        whole = self._place + len(records) == log.SEGMENT
        holes = records[: places[-1]][~marked[: places[-1]]] if len(places) else records[:0]
        self._cut |= not closed and not whole
        if len(holes) and (closed or holes.view(np.uint8).any()):
            warn(f"{len(holes):,} records of the journal are damaged and left out")

    def tell_cut(self) -> None:
        """Warn of what is missing at the end, once all has been read."""
        missing = self._head.counter("records") - self._reached if self._head.counter("closed") else 0
        if missing > 0:
            warn(f"the journal is cut, its last {missing:,} records are missing; all before them is loaded")
        elif self._cut:
            warn("the journal is cut; all that is there is loaded")

    def _advance(self, places: NDArray[np.intp], records: NDArray[np.void], count: int) -> Numbered:
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

    def close(self) -> None:
        """Close the segment that is open."""
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
    last = np.frombuffer(data, DTYPE, len(data) // log.RECORD.size)
    return (len(names) - 1) * log.SEGMENT + int(np.count_nonzero(last["mark"] == log.MARK))


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
