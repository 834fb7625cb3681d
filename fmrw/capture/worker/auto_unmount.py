"""Auto-unmount: the socket by which libfuse's `auto_unmount` helper hears that the worker is gone.

libfuse makes it while it mounts, tells nobody its number, and never closes it: it ends with the process. So a worker process has to see
that the end is heard at the right moment (`move`), and a process that serves from a thread and goes on, that it is closed at all
(`only_new`, `let_go`).
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_FEW = 256  # descriptors a worker has when it begins to serve, at most
_MANY = 4096  # descriptors among which a thread looks for its guard's


class Socket(NamedTuple):
    """A socket of this process."""

    fd: int
    inode: int


def sockets() -> dict[int, int]:
    """Give the sockets of this process: descriptor → inode."""
    found = {}
    for fd in range(3, _MANY):
        with contextlib.suppress(OSError):  # a number that is not in use
            status = os.fstat(fd)
            if stat.S_ISSOCK(status.st_mode):
                found[fd] = status.st_ino
    return found


def only_new(before: Mapping[int, int], after: Mapping[int, int]) -> Socket | None:
    """Give the socket that was made between two looks.

    libfuse has made one. Where other threads have made some too, nobody can tell which is which, and it stays until this process ends.
    """
    made = [Socket(fd, inode) for fd, inode in after.items() if before.get(fd) != inode]
    return made[0] if len(made) == 1 else None


def let_go(guard: Socket) -> None:
    """Close the socket, if it is what it was."""
    if sockets().get(guard.fd) == guard.inode:
        os.close(guard.fd)


def move(low: int) -> None:
    """Make sure that libfuse's `auto_unmount` helper hears of our end after the kernel has cut the connection.

    The helper listens on a socket and then looks whether the mount is dead. The end of a process closes descriptors from
    the lowest to the highest and lets go of what they refer to in the opposite order (task_work_run() in kernel/task_work.c),
    so a socket above the connection is let go first: the helper's look then waits for us, fails with another error than
    that of a dead mount, and a mount nobody serves stays. Seen in one kill of four while a program wrote.
    """
    for fd in range(low + 1, _FEW):
        with contextlib.suppress(OSError):  # a number that is not in use
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.dup2(fd, low, inheritable=False)
                os.close(fd)
                return
