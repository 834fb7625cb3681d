"""Journal: what the worker writes and everybody else reads, while it runs and after it was killed.

A folder of files that are mapped into memory, so that an event costs one `struct.pack_into`, no system call, no buffer
and no flushing thread, and is in the page cache — safe from SIGKILL — the moment it is recorded:

    head             one page: magic, version, and counters (`HEAD`) shared with whoever looks on
    000000.events    segments of 65,536 records of 64 bytes, allocated before they are mapped, since a full
    000001.events    disk under a mapping is a SIGBUS
    names.jsonl      one JSON object per line: paths, processes, files, renames, who uses io_uring, call sites; numbered, written before their first use

A record's place is its sequence number. Its last field is the mark `MARK`: written last, so a record without it is not
yet there, or never will be: a thread that was killed between taking its place and filling it leaves a hole. A segment
appears under its name when it is whole. Requests that the kernel cut out of one call carry the call's number, `MORE`
while more is to come.

When the disk is full the watched program goes on: events are counted as lost in `head`, names wait in memory (up to
`_PENDING` bytes, what is beyond counts as a fault), and room is looked for again every `_RETRY_S`. A segment is only taken
when as much would be left free: the last bytes of a disk belong to the programs that are watched. Memory is bounded by
two segments, whatever the number of events.
"""

from __future__ import annotations

import errno
import itertools
import json
import mmap
import os
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmrw.capture.native.pairs import Counter, Native
    from fmrw.capture.recorder.process import Identity

MAGIC = 0x314C4E524A574D46  # "FMWJRNL1", little-endian
VERSION = 3
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
    ("site", "H"),
    ("mark", "H"),
)
"""Names and `struct` codes of a record, little-endian, without padding: 64 bytes."""

RECORD = struct.Struct("<" + "".join(code for _name, code in FIELDS))
SEGMENT = 65_536
SEGMENT_BYTES = SEGMENT * RECORD.size
HEAD = ("magic", "version", "armed", "lost", "faults", "closed", "guessed", "records", "lacks", "rings")
LACKS = ("shared_maps", "async_direct")
"""Bits of `lacks`: what this kernel's FUSE does not offer (`fmrw.capture.fuse.loop`)."""
HEAD_BYTES = 4096

PAGE, MORE, CONTINUES = 1, 2, 4  # bits of `flags`
READ, WRITE, OPEN, CLOSE, TRUNCATE, RENAME, UNLINK, VOID, ADVISE = range(9)
"""`op`; VOID: a place nothing was written to; ADVISE, since version 2: what a program said it will need."""
MOST_SITES = (1 << 16) - 1
"""Greatest number of a call site (`fmrw.capture.sites`), since version 3; 0 stands for none."""

_quoted = json.encoder.encode_basestring_ascii
_RETRY_S = 0.1
_PENDING = 8 << 20
_ARMED, _LOST, _FAULTS, _CLOSED, _GUESSED, _RECORDS, _LACKS, _RINGS = (HEAD.index(name) for name in HEAD[2:])


class _Segment:
    """One mapped file of records; `take` hands out places."""

    def __init__(self, base: int, view: mmap.mmap, places: Iterator[int]) -> None:
        self.base = base
        self.view = view
        self.places = places


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
        self._native: Native | None = None
        self._next_base = 0
        self._retry_at = 0.0
        self._names_end = 0
        self._names_retry_at = 0.0
        self._pending = bytearray()
        self._names = os.open(
            b"names.jsonl", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=directory
        )
        with self._lock:
            self._roll(None)

    # The hot path

    def append(self, *fields: int, site: int = 0) -> None:
        """Record one event; the fields are those of `FIELDS` up to `flags`. Never raises for want of space."""
        segment = self._segment
        while segment is not None:
            place = next(segment.places)
            if place < SEGMENT:
                try:
                    RECORD.pack_into(segment.view, place * 64, *fields, site, MARK)
                except struct.error:
                    self._void(segment, place)
                if self._head[_ARMED]:
                    self.wake()
                return
            with self._lock:
                segment = self._roll(segment)
        self._lose()

    def _void(self, segment: _Segment, place: int) -> None:
        """Fill a place that was taken for an event that does not fit, so that readers go on behind it."""
        RECORD.pack_into(segment.view, place * 64, *(0,) * 11, VOID, 0, 0, MARK)
        self.count_fault()

    def wake(self) -> None:
        """Ring for the reader that waits."""
        self._head[_ARMED] = 0
        self._ring()

    def share(self, native: Native, calls: Counter) -> None:
        """Let the compiled code record, too, and number calls by the same counter; before the first event."""
        with self._lock:
            self._native = native
            native.serve(armed=self._head[_ARMED : _ARMED + 1], calls=calls)
            if self._segment is not None:
                self._use(self._segment.base, self._segment.view)

    def _use(self, base: int, view: mmap.mmap) -> _Segment:
        """Take a segment into use, on both sides."""
        if self._native is None:
            self._segment = _Segment(base, view, itertools.count())
            return self._segment
        places = self._native.counter()
        self._segment = _Segment(base, view, places)
        self._native.record_into(view, places, SEGMENT)
        return self._segment

    def _use_none(self) -> None:
        self._segment = None
        if self._native is not None:
            self._native.record_into(None, None, 0)

    def _lose(self) -> None:
        with self._lock:
            self._head[_LOST] += 1
            if self._segment is None and time.monotonic() >= self._retry_at:
                self._roll(None)

    # Segments

    def _roll(self, full: _Segment | None) -> _Segment | None:
        """Take the next segment into use, unless another thread has; None when there is no space."""
        if self._segment is not full:
            return self._segment
        if self._pending:
            self._write_names()
        name = b"%06d.events" % (self._next_base // SEGMENT)
        try:
            view = _map(self._directory, name, SEGMENT_BYTES)
        except OSError:
            self._retry_at = time.monotonic() + _RETRY_S
            self._use_none()
            return None
        segment = self._use(self._next_base, view.obj)  # type: ignore[arg-type]  # the mmap behind the view
        self._next_base += SEGMENT
        return segment

    # Names

    def note(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - what JSON takes
        """Write one line of names; kept in memory and tried again when the disk is full."""
        self._add(json.dumps({"kind": kind, **facts}, ensure_ascii=True))

    def note_process(self, number: int, first_seen_ns: int, who: Identity) -> None:
        """Write the line of a process. Where programs are short there are as many as calls, so it is put together by hand."""
        tid, pid, ppid, name, exe, cmdline, thread = who
        self._add(
            f'{{"kind": "process", "id": {number}, "first_seen_ns": {first_seen_ns}, "tid": {tid}, "pid": {pid}, "ppid": {ppid}, '
            f'"name": {_quoted(name)}, "exe": {_quoted(exe)}, "cmdline": {_quoted(cmdline)}, "thread": {_quoted(thread)}}}'
        )

    def _add(self, text: str) -> None:
        line = text.encode() + b"\n"
        with self._lock:
            if len(self._pending) + len(line) > _PENDING:
                self._head[_FAULTS] += 1  # its number will be shown instead
                return
            self._pending += line
            if time.monotonic() >= self._names_retry_at:
                self._write_names()

    def _write_names(self) -> None:
        try:
            done = os.pwrite(self._names, self._pending, self._names_end)
        except OSError:  # no room, or a disk that fails: the watched program must not suffer
            done = 0
        self._names_end += done
        del self._pending[:done]
        self._names_retry_at = time.monotonic() + _RETRY_S if self._pending else 0.0

    def count_fault(self) -> None:
        """Count an exception inside an operation."""
        with self._lock:
            self._head[_FAULTS] += 1

    def count_guess(self) -> None:
        """Count a call whose requests were joined by contiguity alone."""
        with self._lock:
            self._head[_GUESSED] += 1

    def tell_lacks(self, *names: str) -> None:
        """Say which of `LACKS` this kernel does not offer."""
        self._head[_LACKS] = sum(1 << LACKS.index(name) for name in names)

    def note_ring(self, **facts: Any) -> None:  # noqa: ANN401 - what JSON takes
        """Say which process uses io_uring, or may."""
        self.note("ring", **facts)
        with self._lock:
            self._head[_RINGS] += 1

    def close(self) -> None:
        """Write what is pending, cut the last segment to what it holds, say that this is all."""
        with self._lock:
            self._write_names()
            segment = self._segment
            self._use_none()
            if segment is not None:
                self._head[_RECORDS] = segment.base + self._cut(segment)
            else:
                self._head[_RECORDS] = self._next_base
            self._head[_CLOSED] = 1
        os.close(self._names)
        self.wake()

    def _cut(self, segment: _Segment) -> int:
        used = min(next(segment.places), SEGMENT)
        name = b"%06d.events" % (segment.base // SEGMENT)
        fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            os.truncate(fd, used * RECORD.size)
        finally:
            os.close(fd)
        return used


def _map(directory: int, name: bytes, size: int) -> memoryview:
    """Allocate and map a file that appears under its name when it is whole; on a full disk nothing stays behind."""
    _require_room(directory, size)
    unfinished = name + b".new"
    fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        os.posix_fallocate(fd, 0, size)
        view = memoryview(mmap.mmap(fd, size))
        os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(unfinished, dir_fd=directory)
        raise
    finally:
        os.close(fd)
    return view


def _require_room(directory: int, size: int) -> None:
    """Raise ENOSPC when not even twice the size is free; trying would take the room from others for a moment."""
    room = os.fstatvfs(directory)
    if room.f_blocks and room.f_bavail * room.f_frsize < 2 * size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Head:
    """The counters of a journal, as they are now; what a reader may set is `arm`."""

    def __init__(self, fd: int, *, writable: bool = True) -> None:
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._view = memoryview(mmap.mmap(fd, HEAD_BYTES, access=access)).cast("q")

    def arm(self) -> None:
        """Ask to be rung for the next event."""
        self._view[_ARMED] = 1

    def keep(self) -> None:
        """Let the file go and keep the counters as they are now."""
        self._view = memoryview(bytes(self._view)).cast("q")

    def counter(self, name: str) -> int:
        """Give one of `HEAD`."""
        return self._view[HEAD.index(name)]

    def lacks(self) -> list[str]:
        """Give those of `LACKS` that the kernel does not offer."""
        return [name for bit, name in enumerate(LACKS) if self.counter("lacks") >> bit & 1]


def segments(directory: int) -> Iterator[bytes]:
    """Give the names of a journal's segments in order, as far as they exist now."""
    for number in itertools.count():
        name = b"%06d.events" % number
        try:
            os.stat(name, dir_fd=directory)
        except FileNotFoundError:
            return
        yield name
