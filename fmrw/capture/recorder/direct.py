"""Direct I/O: which files are opened for it, and what this kernel lacks there.

In `exact` every file is opened for direct I/O, but for those who use io_uring (`fmrw.capture.recorder.rings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.capture.fuse import loop
from fmrw.capture.recorder.rings import Rings, is_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fmrw.capture.mirror.dirfds import Handle
    from fmrw.capture.recorder.journal import Journal

_REMEMBERED = 100_000  # pairs of thread and handle
_WANTED = {"shared_maps": loop.SHARED_MAPS, "async_direct": loop.ASYNC_DIRECT}


class DirectIo:
    """Decide who gets a file for direct I/O.

    Parameters
    ----------
    wanted : bool
        Whether the capture mode wants it.
    journal : Journal
        Where is noted what the kernel lacks, and who uses io_uring.
    handles : mapping of int to Handle
        The open files.
    fault : callable
        Called with an exception that is ours; the program goes on.
    """

    def __init__(
        self,
        journal: Journal,
        handles: Mapping[int, Handle],
        fault: Callable[[BaseException], None],
        *,
        wanted: bool,
    ) -> None:
        self._wanted = wanted
        self._journal = journal
        self._handles = handles
        self._fault = fault
        self._rings = Rings(lambda found: journal.note_ring(**found._asdict()))
        self._met: set[int] = set()  # threads and handles, packed: those of which a first request has come

    def agreed(self, flags: int) -> None:
        """Note what is not among the flags of the answer to INIT (`fmrw.capture.fuse.loop`)."""
        if self._wanted:
            self._journal.tell_lacks(*(name for name, flag in _WANTED.items() if not flags & flag))

    def opens(self, handle: Handle, tid: int) -> bool:
        """Tell whether a thread that opens a file gets it for direct I/O."""
        handle.direct = tid if self._wanted and not self.must_not(tid) else 0
        return handle.direct != 0

    def must_not(self, tid: int) -> bool:
        """Tell whether a thread's process uses io_uring, or may."""
        try:
            return tid != 0 and self._rings.may_use(tid, self._direct())
        except BaseException as error:  # noqa: BLE001 - a fault of ours never reaches the program
            self._fault(error)
            return False

    def meet(self, handle: int, tid: int) -> None:
        """Look, with a thread's first request on a file, whether a ring has been set up since that was opened."""
        pair = handle << 32 | tid
        if self._wanted and pair not in self._met:
            if len(self._met) >= _REMEMBERED:
                self._met.clear()
            self._met.add(pair)
            self.must_not(tid)

    def meet_thread(self, tid: int, name: str) -> None:
        """Look at a thread that has not called before: one of io_uring's own tells of a ring that nobody sees."""
        if self._wanted and is_worker(name):
            self.must_not(tid)

    def _direct(self) -> Iterator[int]:
        for handle in list(self._handles.values()):  # copied only when somebody asks, which is seldom
            if handle.direct:
                yield handle.direct
