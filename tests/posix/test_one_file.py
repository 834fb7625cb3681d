"""One file, treated at random and compared with what it must hold after every step, as fsx does (Apple, 1991; xfstests' ltp/fsx.c).

Several descriptors, one of them appending, mappings, holes and truncations meet at odd offsets. The truth is a `bytearray`, and it is looked
for through the mount and beneath it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sides import Side

pytestmark = pytest.mark.mount

LARGEST = 256 << 10
LONGEST = 70_000
CHECKED = 50  # steps between two looks at the whole file from beneath
PUNCH_HOLE = 1 | 2  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, linux/falloc.h
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class File:
    """A file and what it must hold."""

    def __init__(self, side: Side, name: str, chance: random.Random) -> None:
        self.path = side.root / name
        self.beneath = side.beneath
        self.chance = chance
        self.truth = bytearray()
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self.appending = os.open(self.path, os.O_RDWR | os.O_APPEND)
        self.steps: tuple[Callable[[], None], ...] = (
            self.read, self.read, self.write, self.write, self.append, self.truncate, self.punch, self.allocate,
            self.read_mapped, self.write_mapped, self.append_mapped, self.reopen, self.sync,
        )  # fmt: skip

    def _place(self, most: int) -> tuple[int, int]:
        start = self.chance.randrange(most + 1)
        start -= start % self.chance.choice((1, 1, 512, 4096))
        return start, self.chance.randrange(1, LONGEST)

    def _inside(self) -> tuple[int, int] | None:
        start, length = self._place(len(self.truth))
        end = min(start + length, len(self.truth))
        return (start, end) if start < end else None

    def _put(self, start: int, data: bytes) -> None:
        self.truth.extend(bytes(max(0, start - len(self.truth))))
        self.truth[start : start + len(data)] = data

    def read(self) -> None:
        start, length = self._place(len(self.truth))
        assert os.pread(self.fd, length, start) == self.truth[start : start + length]

    def write(self) -> None:
        start, length = self._place(LARGEST - LONGEST)
        data = self.chance.randbytes(length)
        assert os.pwrite(self.fd, data, start) == length
        self._put(start, data)

    def append(self) -> None:
        data = self.chance.randbytes(self.chance.randrange(1, 5000))
        if len(self.truth) + len(data) <= LARGEST:
            assert os.write(self.appending, data) == len(data)
            self._put(len(self.truth), data)

    def truncate(self) -> None:
        size = self.chance.randrange(LARGEST)
        if self.chance.random() < 0.5:
            os.ftruncate(self.fd, size)
        else:
            os.truncate(self.path, size)
        del self.truth[size:]
        self.truth.extend(bytes(size - len(self.truth)))

    def _allocate(self, mode: int, start: int, length: int) -> None:
        if _libc.fallocate(self.fd, mode, start, length):
            raise OSError(ctypes.get_errno(), "fallocate")

    def punch(self) -> None:
        if (place := self._inside()) is not None:
            start, end = place
            self._allocate(PUNCH_HOLE, start, end - start)
            self.truth[start:end] = bytes(end - start)

    def allocate(self) -> None:
        start, length = self._place(LARGEST - LONGEST)
        self._allocate(0, start, length)
        self.truth.extend(bytes(max(0, start + length - len(self.truth))))

    def _mapped(self, kind: int, access: int, fd: int | None = None) -> mmap.mmap:
        return mmap.mmap(self.fd if fd is None else fd, len(self.truth), flags=kind, prot=access)

    def read_mapped(self) -> None:
        if (place := self._inside()) is not None:
            kind = self.chance.choice((mmap.MAP_SHARED, mmap.MAP_PRIVATE))
            with self._mapped(kind, mmap.PROT_READ) as mapped:
                assert mapped[slice(*place)] == self.truth[slice(*place)]

    def write_mapped(self) -> None:
        self._write_mapped(self.fd)

    def append_mapped(self) -> None:
        """Map what is opened to append, which puts pages to their places all the same."""
        self._write_mapped(self.appending)

    def _write_mapped(self, fd: int) -> None:
        if (place := self._inside()) is not None:
            start, end = place
            data = self.chance.randbytes(end - start)
            with self._mapped(mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, fd) as mapped:
                mapped[start:end] = data
                if self.chance.random() < 0.5:
                    mapped.flush()
            self.truth[start:end] = data

    def reopen(self) -> None:
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)

    def sync(self) -> None:
        (os.fsync if self.chance.random() < 0.5 else os.fdatasync)(self.fd)

    def check(self) -> None:
        os.fsync(self.fd)
        below = os.open(self.path.name, os.O_RDONLY, dir_fd=self.beneath)
        try:
            assert os.pread(below, LARGEST + LONGEST, 0) == self.truth
        finally:
            os.close(below)

    def close(self) -> None:
        os.close(self.fd)
        os.close(self.appending)
        self.path.unlink()


@pytest.mark.parametrize("steps", [600, pytest.param(60_000, marks=pytest.mark.soak)])
def test_a_file_holds_what_was_put_there(
    side: Side, steps: int, record_property: Callable[[str, object], None]
) -> None:
    seed = 1 if os.environ.get("CI") else random.randrange(1 << 32)  # noqa: S311 - no secret
    record_property("seed", seed)
    file = File(side, f"file-{steps}", random.Random(seed))  # noqa: S311 - the same
    for number in range(steps):
        file.chance.choice(file.steps)()
        assert os.fstat(file.fd).st_size == file.path.stat().st_size == len(file.truth), f"step {number}"
        if number % CHECKED == CHECKED - 1:
            file.check()
    file.close()
