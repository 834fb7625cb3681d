"""Callers: from the thread id FUSE gives to a thread's name, its process and that one's name.

An open descriptor on `/proc/<tid>/comm`, read again for every event, costs about 1 µs, follows `exec`, and fails with
ESRCH once the thread is gone, so that a reused id is never taken for the old thread. A process is called as its first thread is, so
another thread has a second descriptor, on that one's. A thread that cannot be looked at is still recorded under its id.

Whatever a process is, is read at first sight: those that end at once cannot be looked at later. But a look at `exe` or `cmdline` waits
for locks that a process may hold while it waits for us: the lock of its address space, while a page fault is answered, and
exec_update_lock, while `execve` closes files. Then only names and numbers are read, which need neither, and the rest when the
thread comes with a request of its own.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import weakref
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.recorder.sight import endings, sights
from fmrw.capture.system.proc import command_of, family_of, open_entry, program_of
from fmrw.capture.system.room import as_room_allows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_CACHED = 700  # threads of which descriptors are kept
_LOOKS = 16  # at kept threads, before one that lives is dropped
_ASKED = 256  # threads of which it is kept whether they help
IGNORED = -1
WRITEBACK, UNKNOWN = 0, 1
"""Numbers of the kernel, which writes what a mapping has left, and of those who have no number in our PID namespace."""


class Identity(NamedTuple):
    """One thread under one name; the facts are those of its process."""

    tid: int
    pid: int
    ppid: int
    name: str
    exe: str
    cmdline: str
    thread: str


class _Known(NamedTuple):
    """Descriptors on the names of a thread and, where it is another, of its process's first thread; the names then, and the number."""

    file: int
    comm: bytes
    number: int
    leader: int = -1
    leading: bytes = b""


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
        self._see, self._gone = sights(), endings()
        self._own = own
        self._cached, self._asked = as_room_allows(_CACHED), as_room_allows(_ASKED)
        self._ignored = {own, *ignored}
        self._known: dict[int, _Known] = {}
        self._round: Iterator[int] = iter(())
        self._partial: dict[int, tuple[int, Identity]] = {}
        self._helping: dict[int, tuple[int, bool]] = {}
        self._asking = threading.Lock()
        self.forgotten: Callable[[int], object] = lambda _tid: None
        weakref.finalize(self, _close_all, self._known, self._helping)
        self._numbers = itertools.count()
        for name in ("[writeback]", "unknown"):  # in the order of their numbers
            self._number(Identity(0, 0, 0, name, "", "", name))

    def identify(self, tid: int) -> int:
        """Give the number of a thread that waits with a request of its own, under its present name, or `IGNORED`."""
        number = self.known(tid)
        if number is None:
            return self._look(tid, whole=True)
        if self._partial and tid in self._partial:
            self._complete(tid)
        return number

    def glimpse(self, tid: int) -> int:
        """Give that number of a thread that waits in a page fault, or does not wait: nothing is looked at that has a lock."""
        number = self.known(tid)
        return self._look(tid, whole=False) if number is None else number

    def known(self, tid: int) -> int | None:
        """Give that number if the thread has it already, without a look at its process.

        A thread that closes files in `execve` waits for us, and holds the lock (exec_update_lock, begin_new_exec() in
        fs/exec.c) that looking at `stat`, `exe` or `syscall` waits for: both would wait for ever.
        """
        if not tid:
            return UNKNOWN
        known = self._known.get(tid)
        if known is not None:
            file, comm, number, leader, leading = known
            try:
                if os.pread(file, 32, 0) == comm and (leader < 0 or os.pread(leader, 32, 0) == leading):
                    return number
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
            fd = open_entry(tid, "comm")
        except OSError:
            return False
        helps = self._own in family_of(tid)
        if len(self._helping) >= self._asked:
            os.close(self._helping.pop(next(iter(self._helping)))[0])
        self._helping[tid] = fd, helps
        return helps

    def _look(self, tid: int, *, whole: bool) -> int:
        file, comm, pid, ppid, leader, leading, exe, command = self._see(tid, whole, self._own)
        if file < 0:
            return self._number(Identity(tid, tid, 0, "[gone]", "", "", "[gone]"))
        number = IGNORED
        if pid not in self._ignored and not (self._own and ppid == self._own):
            who = Identity(
                tid, pid, ppid, _text(leading), os.fsdecode(exe), os.fsdecode(command), _text(comm)
            )
            number = self._number(who)
            if not whole:
                self._complete_later(number, who)
        if len(self._known) >= self._cached:
            self._make_room()
        self._known[tid] = _Known(file, comm, number, leader, leading)
        return number

    def _complete_later(self, number: int, who: Identity) -> None:
        if len(self._partial) >= _CACHED:
            self._partial.pop(next(iter(self._partial)), None)
        self._partial[who.tid] = number, who

    def _complete(self, tid: int) -> None:
        """Say again what a thread is, now that its process may be looked at; what may not be read stays empty."""
        partial = self._partial.pop(tid, None)
        if partial is not None:
            number, who = partial
            self._note(number, who._replace(exe=program_of(tid), cmdline=command_of(tid)))

    def _number(self, identity: Identity) -> int:
        number = next(self._numbers)
        self._note(number, identity)
        return number

    def names(self, tid: int) -> list[tuple[int, bytes]]:
        """Give the descriptors on names that tell whether a thread is still the one that is known, and what they gave."""
        known = self._known.get(tid)
        if known is None or tid in self._partial:  # what is not known yet is looked up at the next request
            return []
        pairs = ((known.file, known.comm), (known.leader, known.leading))
        return [(fd, text) for fd, text in pairs if fd >= 0]

    def _forget(self, tid: int) -> None:
        self.forgotten(tid)  # before its descriptors are closed
        self._partial.pop(tid, None)
        known = self._known.pop(tid, None)
        if known is not None:
            _close(known)

    def _make_room(self) -> None:
        """Drop those of the next few threads that are gone, going round; where all of them live, the one known longest.

        Where programs are short, they are gone: to drop several at once is a third of the work.
        """
        tids = list(itertools.islice(self._round, _LOOKS))
        if len(tids) < _LOOKS:
            self._round = iter(list(self._known))
            tids += itertools.islice(self._round, _LOOKS - len(tids))
        kept = [tid for tid in dict.fromkeys(tids) if tid in self._known]
        gone = self._gone([self._known[tid].file for tid in kept])
        for tid in itertools.compress(kept, gone):
            self._forget(tid)
        if not any(gone):
            self._forget(next(iter(self._known)))


def _text(comm: bytes) -> str:
    return comm.removesuffix(b"\n").decode("utf-8", "backslashreplace")


def _close_all(known: dict[int, _Known], helping: dict[int, tuple[int, bool]]) -> None:
    """Close what a `Processes` that nobody needs any more has kept open."""
    for each in known.values():
        _close(each)
    for fd, _helps in helping.values():
        os.close(fd)


def _close(known: _Known) -> None:
    os.close(known.file)
    if known.leader >= 0:
        os.close(known.leader)


def owner_of(pid: int) -> int:
    """Give the user whose process it is: root, where it is closed to its own user (proc(5)); -1 where it is gone."""
    try:
        return os.stat(f"/proc/{pid}").st_uid  # noqa: PTH116 - no path is made of it
    except OSError:
        return -1
