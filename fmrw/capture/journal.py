"""The journal: what the worker writes and everybody else reads, while it runs and after it was killed.

A folder of files that are mapped into memory, so that an event costs one `struct.pack_into`, no system call, no buffer
and no flushing thread, and is in the page cache — safe from SIGKILL — the moment it is recorded:

    head             one page: magic, version, and counters (`HEAD`) shared with whoever looks on
    000000.events    segments of 65,536 records of 64 bytes, allocated before they are mapped, since a full
    000001.events    disk under a mapping is a SIGBUS
    names.jsonl      one JSON object per line: paths, processes, files, renames; numbered, written before their first use

A record's place is its sequence number. Its last field is the mark `MARK`: written last, so a record without it is not
yet there. Requests that the kernel cut out of one call carry the call's number, `MORE` while more is to come.

When the disk is full the watched program goes on: events are counted as lost in `head`, and allocation is tried again
every `_RETRY` events. Memory is bounded by two segments, whatever the number of events.
"""

from __future__ import annotations

import errno
import itertools
import json
import mmap
import os
import struct
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAGIC = 0x314C4E524A574D46  # "FMWJRNL1", little-endian
VERSION = 1
MARK = 0x4B4F
FIELDS = (
    ("time_ns", "q"),
    ("start", "q"),
    ("size", "q"),
    ("call", "q"),
    ("length", "I"),
    ("requested", "I"),
    ("handle", "I"),
    ("path", "I"),
    ("process", "I"),
    ("tid", "i"),
    ("errno", "H"),
    ("op", "B"),
    ("flags", "B"),
    ("reserved", "H"),
    ("mark", "H"),
)
"""Names and `struct` codes of a record, little-endian, without padding: 64 bytes."""

RECORD = struct.Struct("<" + "".join(code for _name, code in FIELDS))
SEGMENT = 65_536
SEGMENT_BYTES = SEGMENT * RECORD.size
HEAD = ("magic", "version", "armed", "lost", "faults", "closed", "guessed")
HEAD_BYTES = 4096

PAGE, MORE, CONTINUES = 1, 2, 4  # bits of `flags`
READ, WRITE, OPEN, CLOSE, TRUNCATE, RENAME, UNLINK, VOID = range(
    8
)  # `op`; VOID: a place nothing was written to

_RETRY = 4096
_ARMED, _LOST, _FAULTS, _CLOSED, _GUESSED = (HEAD.index(name) for name in HEAD[2:])


class _Segment:
    """One mapped file of records; `take` hands out places."""

    def __init__(self, base: int, view: mmap.mmap) -> None:
        self.base = base
        self.view = view
        self.places = itertools.count()


class Journal:
    """Record events into a folder.

    Parameters
    ----------
    directory : int
        Descriptor of an empty folder, opened before the mount, which may cover it.
    ring : callable
        Called, at most once per `arm()` of a reader, when there is something new.
    """

    def __init__(self, directory: int, ring: Callable[[], None] = lambda: None) -> None:
        self._directory = directory
        self._ring = ring
        self._lock = threading.Lock()
        self._head = _map(directory, b"head", HEAD_BYTES).cast("q")
        self._head[:2] = memoryview(struct.pack("<qq", MAGIC, VERSION)).cast("q")
        self._segment: _Segment | None = None
        self._next_base = 0
        self._retry_at = 0
        self._names_end = 0
        self._pending_names: list[bytes] = []
        self._names = os.open(
            b"names.jsonl", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=directory
        )
        with self._lock:
            self._roll(None)

    # The hot path

    def append(self, *fields: int) -> None:
        """Record one event; the fields are those of `FIELDS` up to `flags`. Never raises for want of space."""
        segment = self._segment
        while segment is not None:
            place = next(segment.places)
            if place < SEGMENT:
                try:
                    RECORD.pack_into(segment.view, place * 64, *fields, 0, MARK)
                except struct.error:
                    self._void(segment, place)
                if self._head[_ARMED]:
                    self._wake()
                return
            with self._lock:
                segment = self._roll(segment)
        self._lose()

    def _void(self, segment: _Segment, place: int) -> None:
        """Fill a place that was taken for an event that does not fit, so that readers go on behind it."""
        RECORD.pack_into(segment.view, place * 64, *(0,) * 11, VOID, 0, 0, MARK)
        self._head[_FAULTS] += 1

    def _wake(self) -> None:
        self._head[_ARMED] = 0
        self._ring()

    def _lose(self) -> None:
        with self._lock:
            self._head[_LOST] += 1
            if self._head[_LOST] >= self._retry_at and self._segment is None:
                self._roll(None)

    # Segments

    def _roll(self, full: _Segment | None) -> _Segment | None:
        """Take the next segment into use, unless another thread has; None when there is no space."""
        if self._segment is not full:
            return self._segment
        name = b"%06d.events" % (self._next_base // SEGMENT)
        try:
            view = _map(self._directory, name, SEGMENT_BYTES)
        except OSError:
            self._retry_at = self._head[_LOST] + _RETRY
            self._segment = None
            return None
        self._segment = _Segment(self._next_base, view.obj)  # type: ignore[arg-type]  # the mmap behind the view
        self._next_base += SEGMENT
        return self._segment

    # Names

    def note(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - what JSON takes
        """Write one line of names; kept in memory and tried again when the disk is full."""
        line = json.dumps({"kind": kind, **facts}, ensure_ascii=True).encode() + b"\n"
        with self._lock:
            self._pending_names.append(line)
            self._write_names()

    def _write_names(self) -> None:
        data = b"".join(self._pending_names)
        try:
            if os.pwrite(self._names, data, self._names_end) == len(data):
                self._names_end += len(data)
                self._pending_names.clear()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise

    def count_fault(self) -> None:
        """Count an exception inside an operation."""
        self._head[_FAULTS] += 1

    def count_guess(self) -> None:
        """Count a call whose requests were joined by contiguity alone."""
        self._head[_GUESSED] += 1

    def close(self) -> None:
        """Write what is pending, cut the last segment to what it holds, say that this is all."""
        with self._lock:
            if self._pending_names:
                self._write_names()
            segment, self._segment = self._segment, None
            if segment is not None:
                used = min(next(segment.places), SEGMENT)
                fd = os.open(b"%06d.events" % (segment.base // SEGMENT), os.O_WRONLY, dir_fd=self._directory)
                os.truncate(fd, used * 64)
                os.close(fd)
            self._head[_CLOSED] = 1
        os.close(self._names)
        self._wake()


def _map(directory: int, name: bytes, size: int) -> memoryview:
    """Create, allocate and map a file; on a full disk nothing stays behind."""
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        os.posix_fallocate(fd, 0, size)
        return memoryview(mmap.mmap(fd, size))
    except BaseException:
        os.unlink(name, dir_fd=directory)
        raise
    finally:
        os.close(fd)


class Head:
    """The counters of a journal, as they are now; what a reader may set is `arm`."""

    def __init__(self, fd: int) -> None:
        self._view = memoryview(mmap.mmap(fd, HEAD_BYTES)).cast("q")

    def arm(self) -> None:
        """Ask to be rung for the next event."""
        self._view[_ARMED] = 1

    def counter(self, name: str) -> int:
        """Give one of `HEAD`."""
        return self._view[HEAD.index(name)]


def segments(directory: int) -> Iterator[bytes]:
    """Give the names of a journal's segments in order, as far as they exist now."""
    for number in itertools.count():
        name = b"%06d.events" % number
        try:
            os.stat(name, dir_fd=directory)
        except FileNotFoundError:
            return
        yield name
