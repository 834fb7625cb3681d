"""inotify(7): tests wait until something has happened to a file, and not for a time."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

IN_ACCESS, IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x1, 0x2, 0x80, 0x100
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """What happens to some files and folders from now on."""

    def __init__(self) -> None:
        self._fd = self._checked(_LIBC.inotify_init1(os.O_CLOEXEC))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)

    @staticmethod
    def _checked(answer: int) -> int:
        if answer < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return answer

    def add(self, path: Path, what: int) -> int:
        """Watch a file, or what lies in a folder; give the number by which `wait` tells of it."""
        return self._checked(_LIBC.inotify_add_watch(self._fd, os.fsencode(path), what))

    def wait(self, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> set[int]:
        """Wait for what happens next; give the numbers of what it has happened to.

        Raises
        ------
        AssertionError
            The process that should do it has ended.
        """
        ended = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([self._fd, ended], [], [])
        finally:
            os.close(ended)
        assert self._fd in ready, "the process ended before"
        data, at, found = os.read(self._fd, 1 << 16), 0, set()
        while at < len(data):
            number, _what, _cookie, size = _EVENT.unpack_from(data, at)
            found.add(number)
            at += _EVENT.size + size
        return found
