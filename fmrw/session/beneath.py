"""Beneath a mount: the files that it covers, opened so that looking at them adds no events."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from fmrw.capture.mounts import registry
from fmrw.capture.system.proc import descriptor_of, descriptor_path

_DESCRIPTORS = 64  # a worker opens its directory among the first


def open_below(root: str, path: bytes) -> int | None:
    """Open a regular file below a directory for reading, beneath any mount of ours; None for whatever else is there."""
    if not root or path.startswith(b"/") or b".." in path.split(b"/"):
        return None
    place = unmonitored(os.fsencode(root).rstrip(b"/") + b"/" + path)
    if place is None:
        return None
    try:
        fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):  # or a NUL in a name
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def size_below(root: str, path: bytes) -> int:
    """Give the size of a regular file below a directory, beneath any mount of ours; 0 for whatever else is there."""
    fd = open_below(root, path)
    if fd is None:
        return 0
    try:
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


def unmonitored(path: bytes) -> bytes | None:
    """Give a way to a file that no mount of ours sees: through the directory its worker holds open. None if there is none."""
    points = {os.fsencode(point.root) for point in registry.mounts()}
    top = path
    while top not in points:
        above = os.path.dirname(top)  # noqa: PTH120 - bytes
        if above == top:  # "/", "//" or ""
            return path
        top = above
    worker = registry.worker_of(Path(os.fsdecode(top)))
    for number in range(_DESCRIPTORS if worker is not None else 0):
        place = os.fsencode(descriptor_of(worker.pid, number)) if worker is not None else b""
        try:
            if os.readlink(place) == top:  # noqa: PTH115 - bytes
                return place + path[len(top) :]
        except OSError:
            continue
    return None


class Beneath:
    """A directory as it is beneath whatever is mounted over it later."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._fd: int | None = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: bytes) -> int | None:
        """Open a file for reading; None for what is not there or not below."""
        with self._lock:
            if self._fd is None:
                return open_below(str(self._root), path)
            return open_below(descriptor_path(self._fd), path)

    def close(self) -> None:
        """Let the directory go: nothing is mounted over it any more."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            self._fd = None
