"""Directory descriptors: the parent directory of each operation, held open so that nobody can swap it beneath."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fmrw.capture.system.proc import descriptor_path

if TYPE_CHECKING:
    from types import TracebackType

_FOREIGN = 1 << 62  # above the numbers of any file system here, below the bit that marks reports
_SPREAD = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: multiples of it lie far apart (Knuth, TAOCP 3, 6.4)


def identity(status: os.stat_result) -> tuple[int, int]:
    """Give what tells a file from all others: its device and its inode number there."""
    return status.st_dev, status.st_ino


def told_apart(device: int, inode: int) -> int:
    """Give the inode number under which a mount shows a file of another file system than that of its directory.

    A mount has one device number. So files of two file systems below it that have the same inode number would be one file, by two
    names, for everybody who compares both numbers: `tar` and `cp -a` would keep the content of one.
    """
    return _FOREIGN | (inode + device * _SPREAD) & (_FOREIGN - 1)


class Place:
    """A name in an opened directory; what was opened for it is closed on leaving."""

    __slots__ = ("_owned", "directory", "name")

    def __init__(self, directory: int, name: bytes, *, owned: bool) -> None:
        self.directory = directory
        self.name = name
        self._owned = owned

    def __enter__(self) -> tuple[int, bytes]:
        """Give the directory's descriptor and the name; no name means the descriptor itself."""
        return self.directory, self.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened for it."""
        if self._owned:
            os.close(self.directory)


class Pinned:
    """A descriptor as a path that cannot be swapped, closed on leaving."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> str:
        """Give the path."""
        return descriptor_path(self._fd)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the descriptor."""
        os.close(self._fd)


class Handle:
    """An open file: its descriptor, its present path, and its number, which is never given twice."""

    __slots__ = ("append", "closer", "direct", "fd", "identity", "number", "path")

    def __init__(self, number: int, fd: int, path: bytes, flags: int) -> None:
        self.number = number
        self.fd = fd
        self.path = path
        self.append = bool(flags & os.O_APPEND)
        self.identity = identity(os.fstat(fd))
        self.direct = 0  # the thread that has opened it for direct I/O
        self.closer: tuple[int, int | None] = (0, None)  # thread and process of the last flush
