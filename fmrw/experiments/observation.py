"""Observation: what one run of a command gives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from fmrw.experiments import shared
from fmrw.experiments.shared import DIGEST_SIZE, RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fmrw.experiments.view import Written


class Output(NamedTuple):
    """What a command wrote to standard output or standard error: its size, a digest of all, and its beginning."""

    size: int
    digest: bytes
    head: bytes

    @property
    def text(self) -> str:
        """The beginning as text."""
        return self.head.decode(errors="replace")


class Access(NamedTuple):
    """One access, in the order in which the mount answered.

    Attributes
    ----------
    op : {"read", "open"}
    path : bytes
        Relative to the directory.
    start, end : int
        What was transferred, half-open.
    requested : int
        Bytes asked for.
    size : int
        Of the file, in bytes.
    page : bool
        Whether the page cache asked, for a mapping or an exec.
    handle : int
        Which open of this run it belongs to, from 0.
    thread : int
        Which thread of this run, from 0.
    time_s : float
        Since the first access.
    errno : int
        0, or why it failed.
    """

    op: str
    path: bytes
    start: int
    end: int
    requested: int
    size: int
    page: bool
    handle: int
    thread: int
    time_s: float
    errno: int


_NOTHING = Output(0, hashlib.blake2b(digest_size=DIGEST_SIZE).digest(), b"")


@dataclass(frozen=True)
class Accesses:
    """The accesses of a run; they are unpacked when they are looked at.

    Attributes
    ----------
    data : bytes
        Records (`fmrw.experiments.shared.RECORD`).
    names : list of bytes
        The files they are about, relative to the directory.
    lost : int
        Accesses beyond those that are kept (65,536).
    """

    data: bytes
    names: Sequence[bytes]
    lost: int = 0

    def __len__(self) -> int:
        """Give how many are kept."""
        return len(self.data) // RECORD.size

    def __iter__(self) -> Iterator[Access]:
        """Give them one after the other."""
        handles: dict[int, int] = {}
        threads: dict[int, int] = {}
        first = None
        for (
            time_ns,
            start,
            size,
            length,
            requested,
            handle,
            file,
            tid,
            errno,
            op,
            flags,
        ) in RECORD.iter_unpack(self.data):
            first = time_ns if first is None else first
            yield Access(
                "read" if op == shared.READ else "open",
                self.names[file] if file < len(self.names) else b"",
                start, start + length, requested, size, bool(flags & shared.PAGE),
                handles.setdefault(handle, len(handles)), threads.setdefault(tid, len(threads)),
                (time_ns - first) / 1e9, errno,
            )  # fmt: skip

    def of(self, path: bytes) -> Iterator[Access]:
        """Give those of one file."""
        return (access for access in self if access.path == path)

    def requests(self, path: bytes) -> list[tuple[int, int, int]]:
        """Give (start, end, requested) of every read of one file: what tells one sequence of accesses from another."""
        wanted = {number for number, name in enumerate(self.names) if name == path}
        return [
            (fields[1], fields[1] + fields[3], fields[4])
            for fields in RECORD.iter_unpack(self.data)
            if fields[6] in wanted and fields[9] == shared.READ
        ]

    def extents(self, path: bytes) -> list[tuple[int, int]]:
        """Give the ranges of one file that were read, merged and sorted, half-open."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted({(start, end) for start, end, _ in self.requests(path) if end > start}):
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return merged


@dataclass(frozen=True)
class Observation:
    """What a run did.

    Attributes
    ----------
    status : int or None
        Exit status; None when a signal ended it.
    signal : int or None
        The signal.
    timeout : {"", "cpu", "time"}
        Which limit it went over, for which it was killed.
    stdout, stderr : Output
    written : list of Written
        Files it made, changed or removed where it may: below the home, the temporary folders, the folder it was run in, and, with
        `writable`, the directory.
    seconds, cpu : float
        From start to end; CPU time of it and of the children it waited for.
    memory : int
        Most bytes it or one of those children had in memory; about 12 MiB at least, since the kernel counts the process that has
        started it (ru_maxrss, getrusage(2), is kept over exec).
    left : int
        Processes that it left behind, and that were killed.
    refused : int
        Attempts to write into the directory, answered with EROFS.
    accesses : Accesses
        What it read below the directory.
    error : str
        Why it could not be started; then nothing else is known.
    """

    status: int | None
    signal: int | None
    timeout: str
    stdout: Output
    stderr: Output
    written: Sequence[Written]
    seconds: float
    cpu: float
    memory: int
    left: int
    refused: int
    accesses: Accesses
    error: str = ""
    faults: int = field(default=0)

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with status 0."""
        return self.status == 0

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.error:
            return f"not started: {self.error}"
        if self.timeout:
            return "ran out of time"
        return f"signal {self.signal}" if self.signal is not None else f"status {self.status}"


def output(size: int, head: bytes, digest: bytes) -> Output:
    """Give an output, from its size, its beginning, and the digest of a longer one."""
    if not size:
        return _NOTHING
    return Output(
        size, digest if size > len(head) else hashlib.blake2b(head, digest_size=DIGEST_SIZE).digest(), head
    )
