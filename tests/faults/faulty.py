"""A FUSE file system that fails on demand: the directory below ours, for tests.

    python faulty.py SOURCE MOUNTPOINT [threads]

mirrors SOURCE until a file `SOURCE/.fault` says how to fail: `EIO` for every read and write at or beyond 64 KiB, `EROFS` or
`ENOSPC` for every change, `EDQUOT` on close. `SLOW` is `EIO` for reads there, after a moment; other reads go on meanwhile.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

from fuse import FUSE, FuseOSError, Operations

_BAD = 64 * 1024
_MOMENT_S = 0.05


class Faulty(Operations):  # type: ignore[misc]  # fusepy ships no types
    def __init__(self, source: str) -> None:
        self._source = source
        self._order = Path(source) / ".fault"

    def _fails(self, *names: str) -> None:
        """Fail when one of these was ordered."""
        ordered = self._order.read_text() if self._order.exists() else ""
        if ordered in names:
            raise FuseOSError(getattr(errno, ordered))

    def _at(self, path: str) -> str:
        return self._source + path

    def _change(self) -> None:
        self._fails("EROFS", "ENOSPC")

    def getattr(self, path: str, _fh: int | None = None) -> dict[str, float]:
        found = os.lstat(self._at(path))
        names = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime", "st_mtime", "st_ctime")
        return {name: getattr(found, name) for name in names}

    def readdir(self, path: str, _fh: int) -> list[str]:
        return [".", "..", *(entry.name for entry in Path(self._at(path)).iterdir())]

    def open(self, path: str, flags: int) -> int:
        if flags & os.O_ACCMODE:
            self._change()
        return os.open(self._at(path), flags)

    def create(self, path: str, mode: int, _fi: object = None) -> int:
        self._change()
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT, mode)

    def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
        if offset + size > _BAD:
            self._fails("EIO")
            if self._order.exists() and self._order.read_text() == "SLOW":
                time.sleep(_MOMENT_S)
                raise FuseOSError(errno.EIO)
        return os.pread(fh, size, offset)

    def write(self, _path: str, data: bytes, offset: int, fh: int) -> int:
        self._change()
        if offset + len(data) > _BAD:
            self._fails("EIO")
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, _fh: int | None = None) -> None:
        self._change()
        os.truncate(self._at(path), length)

    def unlink(self, path: str) -> None:
        self._change()
        Path(self._at(path)).unlink()

    def rename(self, old: str, new: str) -> None:
        """Rename; so does libfuse with what is to be unlinked while it is open."""
        self._change()
        Path(self._at(old)).rename(self._at(new))

    def mkdir(self, path: str, mode: int) -> None:
        self._change()
        Path(self._at(path)).mkdir(mode)

    def rmdir(self, path: str) -> None:
        Path(self._at(path)).rmdir()

    def flush(self, _path: str, _fh: int) -> None:
        self._fails("EDQUOT")

    def fsync(self, _path: str, _datasync: int, fh: int) -> None:
        self._fails("EIO")
        os.fsync(fh)

    def release(self, _path: str, fh: int) -> None:
        os.close(fh)


if __name__ == "__main__":
    FUSE(
        Faulty(sys.argv[1]),
        sys.argv[2],
        foreground=True,
        nothreads="threads" not in sys.argv[3:],
        fsname="faulty",
        direct_io=True,
    )
