"""Rings: processes that use io_uring, which must not meet a file opened for direct I/O.

The kernel does not move the position of a file on that is opened for direct I/O when it is read or written asynchronously: io_uring at the
"current position" (offset -1) gets the first bytes again and again, and writes over what it has just written (tried on Linux
6.18). So whoever holds a ring when it opens a file gets one that is served by the page cache: the right bytes, seen by the page.

A ring is a descriptor, so a look at a process's descriptors tells. That is done when a file is opened, and once more with the first request of
each thread on each file, since many programs set their ring up when they have opened their files. For those it is too late, and
it is said. So is where nobody may look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.system.proc import comm_of, descriptors, family_of, forbids_rings, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_RING = "anon_inode:[io_uring]"
_WORKERS = ("iou-wrk-", "iou-sqp-")  # io_uring/io-wq.c, io_uring/sqpoll.c
_AT_ONCE = 64  # descriptors that are looked at for one open
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
        self._noted: set[Finding] = set()
        self._large: dict[int, tuple[frozenset[str], int]] = {}  # by thread: descriptors seen, where to go on

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
            found = any(target_of(tid, name) == _RING for name in self._suspects(tid, descriptors(tid)))
        except PermissionError:
            self._found(tid, late=False, hidden=True)
            return True
        except OSError:  # it is gone
            return False
        if found:
            pid = family_of(tid)[0]
            self._found(pid, late=any(_may_belong(other, pid) for other in set(direct)), hidden=False)
        return found

    def _suspects(self, tid: int, names: list[str]) -> Iterator[str]:
        """Give the descriptors to look at: all, or of very many the new ones and some of the others in turn."""
        if len(names) <= _AT_ONCE:
            return iter(names)
        seen, turn = self._large.get(tid, (frozenset(), 0))
        if len(self._large) > _REMEMBERED:
            self._large.clear()
        self._large[tid] = frozenset(names), (turn + _AT_ONCE) % len(names)
        return iter([*(name for name in names if name not in seen), *names[turn : turn + _AT_ONCE]])

    def _found(self, tid: int, *, late: bool, hidden: bool) -> None:
        pid = family_of(tid)[0]
        finding = Finding(pid, comm_of(pid) or "?", late, hidden)
        if finding not in self._noted and len(self._noted) < _REMEMBERED:
            self._noted.add(finding)
            self._note(finding)
