"""Shared memory of a slot: what is run, what is altered and what was accessed, known to the driver, the runner and the process that mounts.

One file in memory per slot (memfd_create(2)), so that nothing is left behind, and its size is all that a million runs take:

    head       counters, the file that is altered, limits and what is known of the run
    patches    32 bytes each, sorted by their start, none in another (`PATCH`)
    names      the paths that were accessed in this run, each ended by a NUL
    records    48 bytes each, one per access (`RECORD`)
    words      the program and the words of the command, each ended by a NUL

The driver writes head and patches while nothing runs in the slot, `generation` last; the mount looks at `generation` whenever a file is
opened, and starts its records anew when it has changed. So a request that outlives its run is never counted to the next.
"""

from __future__ import annotations

import errno
import mmap
import os
from ctypes import addressof, c_char
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

PATCHES_AT = _HEAD_BYTES
NAMES_AT = PATCHES_AT + MOST_PATCHES * PATCH.size
RECORDS_AT = NAMES_AT + _NAMES_BYTES
WORDS_AT = RECORDS_AT + MOST_RECORDS * RECORD.size
MOST_WORDS = 1 << 22
SIZE = WORDS_AT + MOST_WORDS

READ, OPEN = 0, 2  # as in `fmrw.capture.recorder.journal`
PAGE = 1  # of `flags`: a page of the page cache
NO_NAME = 0xFFFFFFFF

GENERATION, DEVICE, INODE, PATCHES, CUT, RECORDS, NAMES, REFUSED, FAULTS = range(9)
"""Places of 64-bit numbers in the head. `CUT`: the size that the altered file seems to have, or -1; `REFUSED`: attempts to write."""
_RUN_PLACES = range(16, 29)
(
    CPU_NS, WALL_NS, MEMORY, OUTPUT, WORDS, STATUS, TAKEN_NS, USED_NS, RESIDENT, OVER, LEFT, FAILED, WRITTEN,
) = _RUN_PLACES  # fmt: skip
"""Places of a run, as in `struct run` of `fmrw/capture/native/commands.c`: limits and the size of the words; then, as the runner tells, the
status, time from start to end, CPU time, most bytes resident, which limit was gone over, how many processes were left, the errno of the start,
and whether a list of what was written follows."""
PROCESSES = 39
"""How many processes there may be."""
WITHIN, OVER_CPU, OVER_WALL = range(3)


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
            PATCH.pack_into(self.view, PATCHES_AT + number * PATCH.size, *patch)
        head = self.head
        head[DEVICE], head[INODE] = identity
        head[PATCHES], head[CUT] = len(patches), cut
        head[RECORDS] = head[NAMES] = head[REFUSED] = head[FAULTS] = 0
        head[GENERATION] += 1

    def command(self, words: bytes, limits: Sequence[int]) -> None:
        """Say what is run, before `prepare`.

        Parameters
        ----------
        words : bytes
            The program, and the words of the command, each ended by a NUL.
        limits : sequence of int
            CPU time and time in ns, bytes of memory, bytes of a file.
        """
        if len(words) > MOST_WORDS:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        self.view[WORDS_AT : WORDS_AT + len(words)] = words
        head = self.head
        head[CPU_NS], head[WALL_NS], head[MEMORY], head[OUTPUT] = limits
        head[WORDS] = len(words)

    def names(self) -> list[bytes]:
        """Give the paths that were accessed, relative to the directory, in the order of the first access."""
        return bytes(self.view[NAMES_AT : NAMES_AT + self.head[NAMES]]).split(b"\0")[:-1]

    def records(self) -> bytes:
        """Give the records, `RECORD.size` bytes each."""
        count = min(self.head[RECORDS], MOST_RECORDS)
        return bytes(self.view[RECORDS_AT : RECORDS_AT + count * RECORD.size])

    # The runner's side

    @property
    def address(self) -> int:
        """Where it lies in this process."""
        return addressof(c_char.from_buffer(self.map))

    def words(self) -> list[bytes]:
        """Give the program and the words of the command."""
        return bytes(self.view[WORDS_AT : WORDS_AT + self.head[WORDS]]).split(b"\0")[:-1]

    # The mount's side

    def patches(self) -> Iterator[Patch]:
        """Give the patches."""
        data = self.view[PATCHES_AT : PATCHES_AT + self.head[PATCHES] * PATCH.size]
        return (Patch(*fields) for fields in PATCH.iter_unpack(data))

    def add_name(self, name: bytes) -> bool:
        """Add a path; False where there is no room."""
        used = self.head[NAMES]
        if used + len(name) + 1 > _NAMES_BYTES:
            return False
        at = NAMES_AT + used
        self.view[at : at + len(name) + 1] = name + b"\0"
        self.head[NAMES] = used + len(name) + 1
        return True

    def add_record(self, *fields: int) -> None:
        """Add a record, or only count it where there is no room."""
        place = self.head[RECORDS]
        if place < MOST_RECORDS:
            RECORD.pack_into(self.view, RECORDS_AT + place * RECORD.size, *fields)
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
