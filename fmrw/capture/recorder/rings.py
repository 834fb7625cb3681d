"""Rings: processes that use io_uring, which must not meet a file opened for direct I/O.

The kernel does not move the position of a file on that is opened for direct I/O when it is read or written asynchronously: io_uring at the
"current position" (offset -1) gets the first bytes again and again, and writes over what it has just written (tried on Linux
6.18). So whoever holds a ring when it opens a file gets one that is served by the page cache: the right bytes, seen by the page.

A ring is a descriptor, so a look at a process's descriptors tells. That is done when a file is opened, and once more with the first request of
each thread on each file, since many programs set their ring up when they have opened their files. For those it is too late, and
it is said. So is where nobody may look.

Listing thousands of descriptors takes milliseconds, so a process that has as many is listed now and then (`_Many`). In between only the
numbers are tried that the kernel gives out next: the lowest free ones. A ring at another number, one that was duplicated to a number of its
program's choice, is found when its turn comes, after a number of looks that grows with the number of descriptors.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.native.rings import ring_look
from fmrw.capture.system.proc import comm_of, descriptors, family_of, forbids_rings, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_RING = "anon_inode:[io_uring]"
_WORKERS = ("iou-wrk-", "iou-sqp-")  # io_uring/io-wq.c, io_uring/sqpoll.c
_MANY = 64  # descriptors that are listed and looked at for every open; of more, only some
_TURN = 16  # of those that were seen already, at each look
_FREE = 8  # numbers in a row that nobody uses end the search for new ones
_REMEMBERED = 1000


class Finding(NamedTuple):
    """A process that uses io_uring, or may.

    `late` says that it had opened files for direct I/O before, `hidden` that its descriptors may not be looked at.
    """

    pid: int
    name: str
    late: bool
    hidden: bool


def _may_belong(tid: int, pid: int) -> bool:
    """Tell whether a thread is one of a process, or has ended, so that nobody knows."""
    return family_of(tid)[0] == pid or comm_of(tid) is None


def is_worker(name: str) -> bool:
    """Tell a thread of io_uring's own by its name."""
    return name.startswith(_WORKERS)


class _Many:
    """Descriptors of a process that has very many, as they were listed.

    Parameters
    ----------
    names : list of str
        Their numbers.

    Attributes
    ----------
    seen : set of int
        Numbers that have been looked at.
    """

    def __init__(self, names: list[str]) -> None:
        self.seen = set(map(int, names))
        self._names = names
        self._highest = str(max(self.seen))
        self._lowest = 0  # no number below is free
        self._next = 0

    def holds(self, tid: int) -> bool:
        """Tell whether the list may be used: until all of it had its turn, and not for another process of the same number, which has fewer."""
        return self._next < len(self._names) and target_of(tid, self._highest) != ""

    def new(self, tid: int) -> Iterator[str]:
        """Give the descriptors that the process got since, where it took the lowest free numbers, as the kernel does."""
        while self._lowest in self.seen:
            self._lowest += 1
        free, number = 0, self._lowest
        while free < _FREE:
            if number not in self.seen:
                if target_of(tid, str(number)):
                    self.seen.add(number)
                    yield str(number)
                else:
                    free += 1
            number += 1

    def turn(self) -> list[str]:
        """Give some of those that were seen already: their numbers may have been used again."""
        start, self._next = self._next, self._next + _TURN
        return self._names[start : self._next]


class Rings:
    """Find out who uses io_uring.

    Parameters
    ----------
    note : callable
        Called once for each new `Finding`.
    """

    def __init__(self, note: Callable[[Finding], None]) -> None:
        self._note = note
        self._never = forbids_rings()
        self._look = ring_look()
        self._noted: set[Finding] = set()
        self._many: dict[int, _Many] = {}  # by thread
        self._at: dict[int, str] = {}  # by thread: where its ring was seen last

    def may_use(self, tid: int, direct: Iterable[int] = ()) -> bool:
        """Tell whether a thread's process holds a ring, or may, and take note of it.

        Parameters
        ----------
        tid : int
            The thread.
        direct : iterable of int
            Threads that have files open for direct I/O; asked for only where there is a ring.
        """
        if self._never:
            return False
        try:
            found = self._holds(tid)
        except PermissionError:
            self._found(tid, late=False, hidden=True)
            return True
        except OSError:  # it is gone
            return False
        if found:
            pid = family_of(tid)[0]
            self._found(pid, late=any(_may_belong(other, pid) for other in set(direct)), hidden=False)
        return found

    def _holds(self, tid: int) -> bool:
        """Look through a thread's descriptors for a ring: in C, if they are few."""
        found = None if self._look is None or tid in self._many else self._look(tid)
        return self._holds_by_name(tid) if found is None else found

    def _holds_by_name(self, tid: int) -> bool:
        """Look through them in Python, first where a ring was."""
        before = self._at.pop(tid, None)
        suspects = self._suspects(tid)
        for name in suspects if before is None else itertools.chain([before], suspects):
            if target_of(tid, name) == _RING:
                if len(self._at) >= _REMEMBERED:
                    self._at.clear()
                self._at[tid] = name
                return True
        return False

    def _suspects(self, tid: int) -> Iterator[str]:
        """Give the descriptors to look at: all, or of very many the new ones and some of the others in turn."""
        known = self._many.get(tid)
        if known is not None and known.holds(tid):
            yield from known.new(tid)
        else:
            names = descriptors(tid)
            if len(names) <= _MANY:
                self._many.pop(tid, None)
                yield from names
                return
            seen = () if known is None else known.seen
            if len(self._many) >= _REMEMBERED:
                self._many.clear()
            self._many[tid] = known = _Many(names)
            yield from (name for name in names if int(name) not in seen)
        yield from known.turn()

    def _found(self, tid: int, *, late: bool, hidden: bool) -> None:
        pid = family_of(tid)[0]
        finding = Finding(pid, comm_of(pid) or "?", late, hidden)
        if finding not in self._noted and len(self._noted) < _REMEMBERED:
            self._noted.add(finding)
            self._note(finding)
