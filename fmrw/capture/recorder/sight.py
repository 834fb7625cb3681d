"""First sight: what a thread and its process are, read while the thread waits for us, since those that end at once cannot be looked at later.

Most of what a short program costs the worker is this look, so compiled code takes it where there is some (`callers.c`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.native.callers import gone_threads, sight_of_thread
from fmrw.capture.system.proc import command_of, family_of, open_entry, program_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GONE = b"[gone]\n"


class Sight(NamedTuple):
    """What was seen.

    Attributes
    ----------
    file, leader : int
        Descriptors on the names of the thread and, where it is another, of its process's first thread; -1 where that is gone.
    comm, leading : bytes
        What these gave; both the thread's where there is only one.
    pid, ppid : int
        The process, and its parent; the thread's own id and 0 where they cannot be looked at.
    exe, command : bytes
        The program's path and the beginning of the command line, as far as they may be looked at, and where they were.
    """

    file: int
    comm: bytes
    pid: int
    ppid: int
    leader: int
    leading: bytes
    exe: bytes
    command: bytes


def sights() -> Callable[[int, bool, int], Sight]:
    """Give a function that looks at a thread as `seen` does."""
    look = sight_of_thread()
    if look is None:
        return seen
    return lambda tid, whole, own: Sight._make(look(tid, whole, own, True))  # noqa: FBT003


def seen(tid: int, whole: bool, own: int) -> Sight:  # noqa: FBT001 - as the compiled one
    """Look at a thread without compiled code.

    Parameters
    ----------
    tid : int
        The thread.
    whole : bool
        Whether `exe` and `command` are looked at, too, which may wait for locks of its process.
    own : int
        A process of which these are never looked at, nor those of its children; 0 for none.
    """
    file, comm = _named(tid)
    if file < 0:
        return Sight(-1, _GONE, tid, 0, -1, _GONE, b"", b"")
    pid, ppid = family_of(tid)
    leader, leading = (-1, comm) if pid == tid else _named(pid)
    if leader < 0:
        leading = comm
    closed = not whole or (own and own in (pid, ppid))
    exe, command = ("", "") if closed else (program_of(tid), command_of(tid))
    return Sight(file, comm, pid, ppid, leader, leading, os.fsencode(exe), os.fsencode(command))


def _named(tid: int) -> tuple[int, bytes]:
    """Open a thread's name: give the descriptor, -1 where the thread is gone, and the name."""
    try:
        file = open_entry(tid, "comm")
    except OSError:
        return -1, _GONE
    try:
        return file, os.pread(file, 32, 0)
    except OSError:
        return file, _GONE


def endings() -> Callable[[Sequence[int]], list[bool]]:
    """Give a function that tells which threads are gone, by descriptors on their names."""
    return gone_threads() or gone


def gone(files: Sequence[int]) -> list[bool]:
    """Tell it without compiled code."""
    return [_is_gone(file) for file in files]


def _is_gone(file: int) -> bool:
    try:
        os.pread(file, 1, 0)
    except OSError:
        return True
    return False
