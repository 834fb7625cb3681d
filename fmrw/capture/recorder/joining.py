"""Joining: which call a request belongs to.

A request is not a call. The kernel puts a limited number of pages into one (`Limits`), so a large read arrives in pieces, one
after the other while the caller waits. What may be a piece is looked up in the caller's system call, and pieces are given
one call number until the count is used up. A piece is full but for a page at most, unless the call fills many small buffers
(readv), each of which touches a page: so a thread's first request on a handle is looked up whatever its size, and all that
follow as long as it uses several buffers; from one that has used a single one, what is larger than 128 KiB, or than half a
piece where pieces are no larger. Where that look is denied, contiguous full pieces of one thread and handle are taken for one
call, with a last one that is smaller but not small, and the journal counts the guess. What a call that is none of those we know
(`fmrw.capture.recorder.calls`) requests is a row of its own.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.fuse.transfers import PLAIN
from fmrw.capture.recorder import journal as log
from fmrw.capture.recorder.calls import DENIED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmrw.capture.fuse.transfers import Limits
    from fmrw.capture.recorder.memory import Wanted

_COMMON = 1 << 17  # bytes of the largest buffers most programs use
_REMEMBERED = 100_000  # pairs of thread and handle
_UNKNOWN = 1 << 62  # bytes still wanted by a call whose count cannot be looked up


class _Open(NamedTuple):
    """A call of which more requests are expected."""

    call: int
    op: int
    handle: int
    next_offset: int
    remaining: int
    cut: bool  # whether its first piece ended where a page of its buffer did, and not with one of its own

    @property
    def guessed(self) -> bool:
        """Whether its count could not be looked up."""
        return self.remaining >= _UNKNOWN // 2

    def goes_on(self, op: int, handle: int, start: int, size: int) -> bool:
        """Tell whether a request is the next piece: of a guessed one what no small read can be, or must follow a cut."""
        if (self.op, self.handle, self.next_offset) != (op, handle, start):
            return False
        return self.cut or size > _COMMON if self.guessed else size <= self.remaining


class Joiner:
    """Give each request of a caller the number of its call.

    Parameters
    ----------
    numbers : iterator of int
        Numbers of calls.
    look : callable (thread, operation, handle, start, size) -> Wanted
        Looks up what the call wants that begins with a request.
    guessed : callable ()
        Told of each call that could not be looked up and may have several requests.
    awaited : callable (thread)
        Told of each thread of whose call more is to come.

    Attributes
    ----------
    suspect : int
        From this many bytes on a request may be a piece of a call, whoever asks.
    """

    def __init__(
        self,
        numbers: Iterator[int],
        look: Callable[[int, int, int, int, int], Wanted],
        guessed: Callable[[], None],
        awaited: Callable[[int], None],
    ) -> None:
        self._numbers = numbers
        self._look = look
        self._guessed = guessed
        self._awaited = awaited
        self._unfinished: dict[int, _Open] = {}
        self._single: set[int] = set()  # threads and handles, packed: those that fill a single buffer
        self.limit(PLAIN)

    def limit(self, limits: Limits) -> None:
        """Take what a request carries at most."""
        self._pieces = tuple(most - mmap.PAGESIZE for most in limits)  # at least, of a single buffer
        least = min(self._pieces)
        self.suspect = _COMMON + 1 if least > _COMMON else least // 2

    def asks_whole(self, tid: int, handle: int) -> bool:
        """Tell whether what a thread asks of a file, in requests below `suspect`, are whole calls."""
        return tid not in self._unfinished and handle << 32 | tid in self._single

    def join(
        self, tid: int, op: int, handle: int, start: int, size: int, *, done: int
    ) -> tuple[int, int, int]:
        """Find the call a request belongs to: (its number, bytes asked for and not counted before, flags)."""
        if size < self.suspect and tid not in self._unfinished and handle << 32 | tid in self._single:
            return next(self._numbers), size, 0
        before = self._unfinished.pop(tid, None)
        cut = size % mmap.PAGESIZE != 0
        if before and before.goes_on(op, handle, start, size):
            wanted, call, flags, cut = before.remaining, before.call, log.CONTINUES, before.cut
            requested = size if before.guessed else 0
        else:
            wanted, call, flags = self._wanted(tid, op, handle, start, size), next(self._numbers), 0
            requested = size if wanted == _UNKNOWN else wanted
        if wanted >= _UNKNOWN // 2 and size < self._pieces[op]:  # the last of a call that is guessed
            wanted = size
        if done == size and wanted > size and size:
            self._unfinished[tid] = _Open(call, op, handle, start + done, wanted - done, cut)
            self._awaited(tid)
            flags |= log.MORE
        return call, requested, flags

    def _wanted(self, tid: int, op: int, handle: int, start: int, size: int) -> int:
        """Tell how many bytes the call that begins with a request of this size wants."""
        looked = self._look(tid, op, handle, start, size)
        if not looked.several:
            if len(self._single) >= _REMEMBERED:
                self._single.clear()
            self._single.add(handle << 32 | tid)
        if looked is DENIED and size >= self._pieces[op]:
            self._guessed()
            return _UNKNOWN
        return max(looked.amount, size)
