"""Feed: the thread that follows a mount's journal, so that its frame grows while programs run."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from fmrw.capture.mounts import unmount as unmounting
from fmrw.trace import store
from fmrw.trace.follow import Follower
from fmrw.trace.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

BATCH_S = 0.15
"""How long events are gathered before the frame grows."""
_KEPT = (
    4 << 20
)  # events in memory, about half a gigabyte; a longer recording goes on in temporary files where there is room


class Feed:
    """A thread that appends what the journal holds to a frame, until the worker has ended."""

    def __init__(self, journal: int, bell: int, ended: Callable[[], None]) -> None:
        self._journal = journal
        self._follower = Follower(journal)
        self._bell = bell
        self._ended = ended
        self._events = Spool(_KEPT, lenient=True)
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="fmrw-feed", daemon=True)
        self.thread.start()

    def drain(self) -> None:
        """Take in what is there now."""
        with self._lock:
            if self._journal >= 0:
                self._events.extend(self._follower.batches())

    def lazy(self) -> pl.LazyFrame:
        """Give all events up to now."""
        self.drain()
        return self._events.lazy()

    def processes(self) -> pl.DataFrame:
        """Give the processes up to now."""
        with self._lock:
            if self._journal >= 0:
                self._follower.names.refresh()
            return self._follower.names.processes_frame()

    def sites(self) -> pl.DataFrame:
        """Give the call sites up to now."""
        with self._lock:
            if self._journal >= 0:
                self._follower.names.refresh()
            return self._follower.names.sites_frame()

    def counts(self) -> dict[str, Any]:
        """Give the journal's counters and files, as `session.json` will have them."""
        with self._lock:
            return store.counts(self._follower)

    def _run(self) -> None:
        while self._goes_on():
            pass
        self._finish()

    def _goes_on(self) -> bool:
        """Take in what comes; after an error, wait for the worker's end all the same."""
        try:
            if not self._ring():
                return False
            if self.error is None:
                self._hurry.wait(BATCH_S)
                self.drain()
        except BaseException as error:  # noqa: BLE001 - kept and shown; a thread has nobody to raise to
            again, self.error = self.error is not None, self.error or error
            return not again
        return True

    def _ring(self) -> bool:
        """Wait until there is something new; False when the worker has ended."""
        if self.error is None:
            self._follower.head.arm()
            self.drain()
        unmounting.readable(self._bell, None)
        return bool(os.read(self._bell, 4096))

    def _finish(self) -> None:
        for step in (self._take_rest, self._ended):
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - as above
                self.error = self.error or error

    def _take_rest(self) -> None:
        try:
            self.drain()
            with self._lock:
                self._events.extend(self._follower.flush())
        finally:
            with self._lock:
                self._follower.close()
                os.close(self._journal)
                self._journal = -1

    def is_closed(self) -> bool:
        """Tell whether the worker has recorded its last event; it looks only then who finishes the session."""
        with self._lock:
            return self._journal < 0 or bool(self._follower.head.counter("closed"))

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; tell whether it came."""
        self._hurry.set()
        self.thread.join(timeout_s)
        return not self.thread.is_alive()
