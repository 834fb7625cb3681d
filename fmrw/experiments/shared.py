"""Shared memory of a slot: what is altered and what was accessed, known to the driver and to the process that mounts.

One file in memory per slot (memfd_create(2)), so that nothing is left behind, and its size is all that a million runs take:

    head       counters and the file that is altered (`Head`)
    patches    32 bytes each, sorted by their start, none in another (`PATCH`)
    names      the paths that were accessed in this run, each ended by a NUL
    records    48 bytes each, one per access (`RECORD`)

The driver writes head and patches while nothing runs in the slot, `generation` last; the mount looks at `generation` whenever a file is
opened, and starts its records anew when it has changed. So a request that outlives its run is never counted to the next.
"""

from __future__ import annotations

import mmap
import os
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_PATCHES = 1 << 15
MOST_RECORDS = 1 << 16
_NAMES_BYTES = 1 << 17
_HEAD_BYTES = 4096

PATCH = Struct("<qqQQ")  # start, end, operation, value
RECORD = Struct("<qqqIIIIiHBB")
RECORD_FIELDS = (
    "time_ns", "start", "size", "length", "requested", "handle", "file", "tid", "errno", "op", "flags",
)  # fmt: skip
"""Fields of a record; `file` counts the names of this run from 0."""

_PATCHES_AT = _HEAD_BYTES
_NAMES_AT = _PATCHES_AT + MOST_PATCHES * PATCH.size
_RECORDS_AT = _NAMES_AT + _NAMES_BYTES
SIZE = _RECORDS_AT + MOST_RECORDS * RECORD.size

READ, OPEN = 0, 2  # as in `fmrw.capture.recorder.journal`
PAGE = 1  # of `flags`: a page of the page cache
NO_NAME = 0xFFFFFFFF

GENERATION, DEVICE, INODE, PATCHES, CUT, RECORDS, NAMES, REFUSED, FAULTS = range(9)
"""Places of 64-bit numbers in the head. `CUT`: the size that the altered file seems to have, or -1; `REFUSED`: attempts to write."""


class Patch(NamedTuple):
    """Bytes `[start, end)` that are altered as they are read.

    Attributes
    ----------
    operation : int
        One of `fmrw.experiments.patches.OPERATIONS`.
    value : int
        A byte, or for `keyed` a key, or for `data` up to eight bytes, little-endian.
    """

    start: int
    end: int
    operation: int
    value: int


class Slot:
    """The memory of one slot, in whichever process.

    Parameters
    ----------
    fd : int
        Of the file; the object keeps no descriptor.
    """

    def __init__(self, fd: int) -> None:
        self.map = mmap.mmap(fd, SIZE)
        self.view = memoryview(self.map)
        self.head = self.view[:_HEAD_BYTES].cast("q")

    # The driver's side

    def prepare(self, identity: tuple[int, int], patches: Sequence[Patch], cut: int = -1) -> None:
        """Say what the next run reads altered; nothing may run in the slot."""
        if len(patches) > MOST_PATCHES:
            raise ValueError(f"{len(patches):,} patches are more than {MOST_PATCHES:,}")
        for number, patch in enumerate(patches):
            PATCH.pack_into(self.view, _PATCHES_AT + number * PATCH.size, *patch)
        head = self.head
        head[DEVICE], head[INODE] = identity
        head[PATCHES], head[CUT] = len(patches), cut
        head[RECORDS] = head[NAMES] = head[REFUSED] = head[FAULTS] = 0
        head[GENERATION] += 1

    def names(self) -> list[bytes]:
        """Give the paths that were accessed, relative to the directory, in the order of the first access."""
        return bytes(self.view[_NAMES_AT : _NAMES_AT + self.head[NAMES]]).split(b"\0")[:-1]

    def records(self) -> bytes:
        """Give the records, `RECORD.size` bytes each."""
        count = min(self.head[RECORDS], MOST_RECORDS)
        return bytes(self.view[_RECORDS_AT : _RECORDS_AT + count * RECORD.size])

    # The mount's side

    def patches(self) -> Iterator[Patch]:
        """Give the patches."""
        data = self.view[_PATCHES_AT : _PATCHES_AT + self.head[PATCHES] * PATCH.size]
        return (Patch(*fields) for fields in PATCH.iter_unpack(data))

    def add_name(self, name: bytes) -> bool:
        """Add a path; False where there is no room."""
        used = self.head[NAMES]
        if used + len(name) + 1 > _NAMES_BYTES:
            return False
        at = _NAMES_AT + used
        self.view[at : at + len(name) + 1] = name + b"\0"
        self.head[NAMES] = used + len(name) + 1
        return True

    def add_record(self, *fields: int) -> None:
        """Add a record, or only count it where there is no room."""
        place = self.head[RECORDS]
        if place < MOST_RECORDS:
            RECORD.pack_into(self.view, _RECORDS_AT + place * RECORD.size, *fields)
        self.head[RECORDS] = place + 1

    def close(self) -> None:
        """Let the memory go."""
        self.head.release()
        self.view.release()
        self.map.close()


def memory() -> int:
    """Make the file of a slot; give its descriptor."""
    fd = os.memfd_create("fmrw-slot", os.MFD_CLOEXEC)
    os.ftruncate(fd, SIZE)
    return fd
