"""The call a thread waits in: what it was called for, whether it makes or removes a name, whether it only advises.

While a thread waits for our answer, `/proc/<tid>/syscall` shows the call it makes. A descriptor on it is kept, as long as the
thread lives: one look costs 2 µs.

Looking waits for a lock (exec_update_lock) that a thread holds while it closes files in `execve` and waits for us. So nobody is looked
at while a flush or a release is answered.
"""

from __future__ import annotations

import os
import struct
import weakref
from mmap import PAGESIZE
from typing import TYPE_CHECKING

from fmrw.capture.recorder import memory, syscalls
from fmrw.capture.recorder.memory import Wanted
from fmrw.capture.system.proc import open_entry, read_entry
from fmrw.capture.system.room import as_room_allows

if TYPE_CHECKING:
    from collections.abc import Callable

SYNCHRONOUS = ("exact", "paged")
"""Modes in which a program waits for the pages it asks for and those it only advises to read: its system call tells which."""
_KEPT = 700  # descriptors
_TRIES = 4  # looks at a thread that has just asked and is on its way to wait
_NOT_KNOWN = Wanted(0, several=False)
DENIED = Wanted(-1, several=False)
"""What a thread wants that may not be looked at."""
_PAGESZ = 6  # AT_PAGESZ


class Calls:
    """Look at the calls of threads that wait for us."""

    def __init__(self) -> None:
        self._files: dict[int, int] = {}
        self._most = as_room_allows(_KEPT)
        self._last: dict[int, tuple[bytes, Wanted, int]] = {}
        weakref.finalize(self, _close_all, self._files)

    def wanted(self, tid: int, start: int, size: int, *, writes: bool, whole: bool) -> Wanted:
        """Tell what the read or write was called for that a thread waits in.

        Parameters
        ----------
        tid : int
            The thread; its request must have been made by itself, not by the page cache.
        start, size : int
            What is requested.
        writes : bool
            Whether it is a write.
        whole : bool
            Whether the request is too small to be a piece of a larger one, if it has one buffer.

        Returns
        -------
        Wanted
            0 bytes where the call is none of those that are known; `DENIED` where the thread may not be looked at.
        """
        line = self._line(tid)
        if line.startswith(b"running"):
            line = _settled(lambda: self._line(tid))
        if whole and line.split(b" ", 1)[0] in syscalls.SINGLE:  # most programs' first request
            return Wanted(size, several=False)
        last = self._last.get(tid)
        if last is None or last[0] != line:
            last = None
        elif last[2] < 0:  # programs read in loops
            return last[1]
        call = syscalls.parsed(line, lambda: is_narrow(tid))
        if call is None:
            return DENIED
        if call.kind == "io_submit":
            block = memory.submitted(tid, call, start, writes=writes, after=last[2] if last else -1)
            found, position = block or (None, 0)
        else:
            found, position = _found(tid, call, start, size, writes=writes, whole=whole), -1
        if found is not None and call.kind in ("read", "write", "io_submit"):
            self._last[tid] = line, found, position
        return found or _NOT_KNOWN

    def advises(self, tid: int) -> bool:
        """Tell whether a thread says that it will need what is read now, and does not ask for it."""
        line = self._line(tid)
        if line.startswith(b"running"):
            line = _settled(lambda: self._line(tid))
        if line.split(b" ", 1)[0] not in syscalls.ADVISING:  # every page of a mapping passes here
            return False
        return syscalls.advises(syscalls.parsed(line, lambda: is_narrow(tid)))

    def _line(self, tid: int) -> bytes:
        """Give what the kernel says about a thread's call; empty when it may not be looked at."""
        kept = self._files.get(tid)
        try:
            if kept is None:
                kept = self._keep(tid)
            return os.pread(kept, 256, 0)
        except ProcessLookupError:  # the thread is gone and its id belongs to another, or to nobody
            self._forget(tid)
        except OSError:
            return b""
        try:
            return os.pread(self._keep(tid), 256, 0)
        except OSError:
            return b""

    def _keep(self, tid: int) -> int:
        if len(self._files) >= self._most:
            self._forget(next(iter(self._files)))
        kept = self._files[tid] = open_entry(tid, "syscall")
        return kept

    def _forget(self, tid: int) -> None:
        self._last.pop(tid, None)
        kept = self._files.pop(tid, None)
        if kept is not None:
            os.close(kept)


def _close_all(files: dict[int, int]) -> None:
    """Close what a `Calls` that nobody needs any more has kept open."""
    for fd in files.values():
        os.close(fd)


def _settled(look: Callable[[], bytes]) -> bytes:
    """Look again while a thread that has just asked is on its way to wait."""
    line = look()
    for _again in range(_TRIES):
        if not line.startswith(b"running"):
            break
        os.sched_yield()
        line = look()
    return line


def _found(
    tid: int, call: syscalls.Call, start: int, size: int, *, writes: bool, whole: bool
) -> Wanted | None:
    """Give what a call wants, but for io_submit(2); None where it is none that is known."""
    if call.kind in ("read", "write"):
        return Wanted(call.arguments[2], several=False)
    if call.kind in ("readv", "writev"):
        return memory.vector(tid, call.arguments[1], call.arguments[2], narrow=call.narrow)
    if not whole and (call.kind == "io_uring_enter" or call is syscalls.WORKER):
        narrow = is_narrow(tid) if call is syscalls.WORKER else call.narrow
        return memory.queued(tid, start, size, writes=writes, narrow=narrow)
    return None


def is_narrow(tid: int) -> bool:
    """Tell whether a thread runs a 32-bit program, by what `execve` has told it: the words of that table are as wide as the program's.

    The executable itself is not opened: it may lie in the mount.
    """
    table = read_entry(tid, "auxv", 4096)
    pair = struct.pack("=II", _PAGESZ, PAGESIZE)
    return any(table[at : at + 8] == pair for at in range(0, len(table), 8))


def creates(tid: int) -> bool | None:
    """Tell whether a waiting thread wants to make a name (True), not (False), or cannot be looked at (None)."""
    return syscalls.makes_name(_now(tid))


def removes(tid: int) -> bool:
    """Tell whether a waiting thread is in unlink(2)."""
    return syscalls.removes_name(_now(tid))


def _now(tid: int) -> syscalls.Call | None:
    """Look at a thread once, through no descriptor that is kept."""
    line = _settled(lambda: read_entry(tid, "syscall", 256))
    return syscalls.parsed(line, lambda: is_narrow(tid))
