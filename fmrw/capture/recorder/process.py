"""Callers: from the thread id FUSE gives to a process and its name.

An open descriptor on `/proc/<tid>/comm`, read again for every event, costs about 1 µs, follows `exec`, and fails with
ESRCH once the thread is gone, so that a reused id is never taken for the old thread. A thread that cannot be looked at is still
recorded under its id.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import weakref
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.system.proc import Facts, facts_of, process_of, status_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CACHED = 1024  # descriptors kept on comm files
_ASKED = 256  # threads of which it is kept whether they help
_LONGEST_COMMAND = 4096
_PATIENCE_S = 1.0
IGNORED = -1


class Identity(NamedTuple):
    """One thread under one name; the facts are those of its process."""

    tid: int
    pid: int
    ppid: int
    name: str
    exe: str
    cmdline: str


class Processes:
    """Number the threads that call us.

    Parameters
    ----------
    note : callable
        Called with (number, `Identity`) for every new thread, and again when it takes another name.
    ignored : iterable of int
        Processes of fmrw itself; they get `IGNORED`.
    own : int
        A process of which the children are fmrw's too; 0 where the loop runs in a user's process.
    """

    def __init__(
        self, note: Callable[[int, Identity], None], ignored: Iterable[int] = (), own: int = 0
    ) -> None:
        self._note = note
        self._own = own
        self._ignored = {own, *ignored}
        self._known: dict[int, tuple[int, bytes, int]] = {}
        self._helping: dict[int, tuple[int, bool]] = {}
        self._asking = threading.Lock()
        weakref.finalize(self, _close_all, self._known, self._helping)
        self._numbers = itertools.count()
        self._kernel = self._number(Identity(0, 0, 0, "[writeback]", "", ""))

    def identify(self, tid: int) -> int:
        """Give the number of the calling thread under its present name, or `IGNORED`."""
        number = self.known(tid)
        return self._look(tid) if number is None else number

    def known(self, tid: int) -> int | None:
        """Give that number if the thread has it already, without a look at its process.

        A thread that closes files in `execve` waits for us, and holds the lock (exec_update_lock, begin_new_exec() in
        fs/exec.c) that looking at `stat`, `exe` or `syscall` waits for: both would wait for ever.
        """
        if not tid:
            return self._kernel
        known = self._known.get(tid)
        if known is not None:
            try:
                if os.pread(known[0], 32, 0) == known[1]:
                    return known[2]
            except OSError:
                pass  # the thread is gone and its id belongs to another
            self._forget(tid)
        return None

    def helps(self, tid: int) -> bool:
        """Tell whether a thread belongs to a process of fmrw's own.

        A listing asks for every name in it, and a status takes 50 µs: the answer is kept as long as the thread lives.
        """
        if not self._own:
            return False
        with self._asking:
            kept = self._helping.get(tid)
            if kept is not None:
                with contextlib.suppress(OSError):  # the thread is gone and its id belongs to another
                    os.pread(kept[0], 1, 0)
                    return kept[1]
                os.close(self._helping.pop(tid)[0])
            return self._ask_whether_it_helps(tid)

    def _ask_whether_it_helps(self, tid: int) -> bool:
        try:
            fd = os.open(f"/proc/{tid}/comm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        helps = self._own in {process_of(tid), int(status_field(tid, b"PPid:") or 0)}
        if len(self._helping) >= _ASKED:
            os.close(self._helping.pop(next(iter(self._helping)))[0])
        self._helping[tid] = fd, helps
        return helps

    def _look(self, tid: int) -> int:
        try:
            fd = os.open(f"/proc/{tid}/comm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return self._number(Identity(tid, tid, 0, "[gone]", "", ""))
        try:
            comm = os.pread(fd, 32, 0)
        except OSError:
            comm = b"[gone]\n"
        number = self._register(tid, comm)
        if len(self._known) >= _CACHED:
            self._sweep()
        self._known[tid] = (fd, comm, number)
        return number

    def _register(self, tid: int, comm: bytes) -> int:
        pid = process_of(tid)
        identity = _facts(tid, pid, comm.removesuffix(b"\n").decode("utf-8", "backslashreplace"))
        if pid in self._ignored or (self._own and identity.ppid == self._own):
            return IGNORED
        return self._number(identity)

    def _number(self, identity: Identity) -> int:
        number = next(self._numbers)
        self._note(number, identity)
        return number

    def _forget(self, tid: int) -> None:
        known = self._known.pop(tid, None)
        if known is not None:
            os.close(known[0])

    def _sweep(self) -> None:
        """Drop the threads that are gone; when all live, the longest known half."""
        for tid, (fd, _comm, _number) in list(self._known.items()):
            try:
                os.pread(fd, 1, 0)
            except OSError:
                self._forget(tid)
        if len(self._known) >= _CACHED:
            for tid in list(self._known)[: _CACHED // 2]:
                self._forget(tid)


def _close_all(known: dict[int, tuple[int, bytes, int]], helping: dict[int, tuple[int, bool]]) -> None:
    """Close what a `Processes` that nobody needs any more has kept open."""
    for fd in (*(fd for fd, _comm, _number in known.values()), *(fd for fd, _helps in helping.values())):
        os.close(fd)


def _facts(tid: int, pid: int, name: str) -> Identity:
    """Look at a process once; what may not be read stays empty.

    A look at `stat`, `exe` or `cmdline` waits for locks that the process may hold while it waits for us. So a thread looks,
    and after `_PATIENCE_S` goes on without us.
    """
    found: list[Facts] = []
    looking = threading.Thread(target=_look_at, args=(pid, found), name="fmrw-look", daemon=True)
    try:
        looking.start()
        looking.join(_PATIENCE_S)
    except RuntimeError:
        pass  # no more threads to be had
    if not found:
        return Identity(tid, pid, 0, name, "", "")
    facts = found[0]
    return Identity(tid, pid, facts.ppid, name, facts.exe, " ".join(facts.command)[:_LONGEST_COMMAND])


def _look_at(pid: int, found: list[Facts]) -> None:
    """Add what is known of a process."""
    facts = facts_of(pid)
    if facts is not None:
        found.append(facts)
