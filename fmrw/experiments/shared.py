"""Shared memory of a slot: what is run, what is altered and what was accessed, known to the driver, the runner and the process that mounts.

One file in memory per slot (memfd_create(2)), so that nothing is left behind, and its size is all that a million runs take. It has a few
places, each for one run, so that the next ones wait there while one is run; in each:

    head       counters, the file that is altered, limits and what is known of the run
    patches    32 bytes each, sorted by their start, none in another (`PATCH`)
    names      the paths that were accessed in this run, each ended by a NUL
    records    48 bytes each, one per access (`RECORD`)
    words      the program and the words of the command, each ended by a NUL
    outputs    the beginnings of standard output and of standard error, and digests of those that are longer

The driver writes a place whose run has ended, and gives the run the next number, its generation, which also says which place it has. The
runner says which one is present (`PRESENT`) before it starts it; the mount looks at that whenever it answers. So a request that outlives
its run is never counted to the next.
"""

from __future__ import annotations

import errno
import hashlib
import marshal
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
OUTPUTS_AT = WORDS_AT + MOST_WORDS
MOST_OUTPUT = 1 << 16
"""Bytes of the beginning of an output."""
_DIGESTS_AT = OUTPUTS_AT + 2 * MOST_OUTPUT
DIGEST_SIZE = 16
SIZE = _DIGESTS_AT + _HEAD_BYTES
PLACES = 16

READ, OPEN = 0, 2  # as in `fmrw.capture.recorder.journal`
PAGE = 1  # of `flags`: a page of the page cache
NO_NAME = 0xFFFFFFFF

GENERATION, DEVICE, INODE, PATCHES, CUT, RECORDS, NAMES, REFUSED, FAULTS = range(9)
"""Places of 64-bit numbers in the head. `CUT`: the size that the altered file seems to have, or -1; `REFUSED`: attempts to write."""
(
    CPU_NS, WALL_NS, MEMORY, OUTPUT, WORDS, STATUS, TAKEN_NS, USED_NS, RESIDENT, OVER, LEFT, FAILED, WRITTEN, STDOUT, STDERR,
) = range(16, 31)  # fmt: skip
"""Of the run, as in `struct run` of `fmrw/capture/native/commands.c`: limits and the size of the words; then, as the runner tells, the
status, time from start to end, CPU time, most bytes resident, which limit was gone over, how many processes were left, the errno of the start,
the size of a list of what was written (`marshal`), which then stands in the place of the words, and the sizes of the outputs."""
PROCESSES, PRESENT = 31, 40
"""How many processes there may be; of the first place, the generation of the present run."""
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


class Place:
    """Memory for one run."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.head = view[:_HEAD_BYTES].cast("q")

    # The driver's side

    def command(self, words: bytes, limits: Sequence[int]) -> None:
        """Say what is run, before `prepare`.

        Parameters
        ----------
        words : bytes
            The program, and the words of the command, each ended by a NUL.
        limits : sequence of int
            CPU time and time in ns, bytes of memory, bytes of a file, processes.

        Raises
        ------
        OSError
            The words are too long (E2BIG).
        """
        if len(words) > MOST_WORDS:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        self._view[WORDS_AT : WORDS_AT + len(words)] = words
        head = self.head
        head[CPU_NS], head[WALL_NS], head[MEMORY], head[OUTPUT], head[PROCESSES] = limits
        head[WORDS] = len(words)

    def prepare(
        self, generation: int, identity: tuple[int, int], patches: Sequence[Patch], cut: int = -1
    ) -> None:
        """Say what a run reads altered.

        Parameters
        ----------
        generation : int
        identity : pair of int
            Device and inode number of the file that is altered.
        patches : sequence of Patch
        cut : int
        """
        if len(patches) > MOST_PATCHES:
            raise ValueError(f"{len(patches):,} patches are more than {MOST_PATCHES:,}")
        for number, patch in enumerate(patches):
            PATCH.pack_into(self._view, PATCHES_AT + number * PATCH.size, *patch)
        head = self.head
        head[DEVICE], head[INODE] = identity
        head[PATCHES], head[CUT] = len(patches), cut
        head[RECORDS] = head[NAMES] = head[REFUSED] = head[FAULTS] = 0
        head[GENERATION] = generation

    def names(self) -> list[bytes]:
        """Give the paths that were accessed, relative to the directory, in the order of the first access."""
        return bytes(self._view[NAMES_AT : NAMES_AT + self.head[NAMES]]).split(b"\0")[:-1]

    def records(self) -> bytes:
        """Give the records, `RECORD.size` bytes each."""
        count = min(self.head[RECORDS], MOST_RECORDS)
        return bytes(self._view[RECORDS_AT : RECORDS_AT + count * RECORD.size])

    def output(self, number: int) -> tuple[int, bytes, bytes]:
        """Give size and beginning of standard output (0) or standard error (1), and the digest of one that is longer than its beginning."""
        size, at = self.head[STDOUT + number], OUTPUTS_AT + number * MOST_OUTPUT
        digest_at = _DIGESTS_AT + number * DIGEST_SIZE
        return (
            size,
            bytes(self._view[at : at + min(size, MOST_OUTPUT)]),
            bytes(self._view[digest_at : digest_at + DIGEST_SIZE]),
        )

    def written(self) -> list[tuple[bytes, str, int, bytes]]:
        """Give what was written, as the runner has told."""
        size = self.head[WRITTEN]
        return marshal.loads(self._view[WORDS_AT : WORDS_AT + size]) if size else []  # noqa: S302 - from our own process

    # The runner's side

    def tell_written(self, written: list[tuple[bytes, str, int, bytes]]) -> None:
        """Say what was written; as much as there is room for."""
        data = marshal.dumps(written)
        while len(data) > MOST_WORDS:
            written = written[: len(written) // 2]
            data = marshal.dumps(written)
        self._view[WORDS_AT : WORDS_AT + len(data)] = data
        self.head[WRITTEN] = len(data) if written else 0

    def tell_output(self, number: int, fd: int) -> None:
        """Say what standard output or standard error was."""
        size = self.head[STDOUT + number] = os.lseek(fd, 0, os.SEEK_END)
        at = OUTPUTS_AT + number * MOST_OUTPUT
        os.preadv(fd, [self._view[at : at + min(size, MOST_OUTPUT)]], 0)
        if size > MOST_OUTPUT:
            with mmap.mmap(fd, size, prot=mmap.PROT_READ) as whole:
                digest = hashlib.blake2b(whole, digest_size=DIGEST_SIZE).digest()
            self._view[_DIGESTS_AT + number * DIGEST_SIZE :][:DIGEST_SIZE] = digest

    def words(self) -> list[bytes]:
        """Give the program and the words of the command."""
        return bytes(self._view[WORDS_AT : WORDS_AT + self.head[WORDS]]).split(b"\0")[:-1]

    # The mount's side

    def patches(self) -> Iterator[Patch]:
        """Give the patches."""
        data = self._view[PATCHES_AT : PATCHES_AT + self.head[PATCHES] * PATCH.size]
        return (Patch(*fields) for fields in PATCH.iter_unpack(data))

    def add_name(self, name: bytes) -> bool:
        """Add a path; False where there is no room."""
        used = self.head[NAMES]
        if used + len(name) + 1 > _NAMES_BYTES:
            return False
        at = NAMES_AT + used
        self._view[at : at + len(name) + 1] = name + b"\0"
        self.head[NAMES] = used + len(name) + 1
        return True

    def add_record(self, *fields: int) -> None:
        """Add a record, or only count it where there is no room."""
        place = self.head[RECORDS]
        if place < MOST_RECORDS:
            RECORD.pack_into(self._view, RECORDS_AT + place * RECORD.size, *fields)
        self.head[RECORDS] = place + 1

    def close(self) -> None:
        """Let the memory go."""
        self.head.release()
        self._view.release()


class Slot:
    """The memory of one slot, in whichever process.

    Parameters
    ----------
    fd : int
        Of the file; the object keeps no descriptor.

    Attributes
    ----------
    places : list of Place
    """

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SIZE * PLACES)
        view = memoryview(self._map)
        self.places = [Place(view[at : at + SIZE]) for at in range(0, SIZE * PLACES, SIZE)]
        view.release()
        self._head = self.places[0].head

    @property
    def address(self) -> int:
        """Where it lies in this process."""
        return addressof(c_char.from_buffer(self._map))

    @property
    def present(self) -> int:
        """The generation of the present run."""
        return self._head[PRESENT]

    @present.setter
    def present(self, generation: int) -> None:
        self._head[PRESENT] = generation

    def place(self, generation: int) -> Place:
        """Give the place of a run."""
        return self.places[generation % PLACES]

    def close(self) -> None:
        """Let the memory go."""
        for place in self.places:
            place.close()
        self._map.close()


def memory() -> int:
    """Make the file of a slot; give its descriptor."""
    fd = os.memfd_create("fmrw-slot", os.MFD_CLOEXEC)
    os.ftruncate(fd, SIZE * PLACES)
    return fd
