"""Monitor: the mirror that records. `Monitor` is a `Passthrough` whose every access becomes an event in the journal.

Two rules: a fault in recording never reaches the program (`_recorded` swallows it, counts it, logs it), and what is
recorded is what really happened — ranges from what was transferred, sizes read after it, appends from where they landed.
A request is not a call: `fmrw.capture.recorder.joining` says which call one belongs to.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import time
from typing import TYPE_CHECKING

from fmrw.capture.fuse.transfers import PLAIN
from fmrw.capture.mirror.passthrough import Passthrough
from fmrw.capture.native.pairs import NO_WRITES, WRITES, WRITES_FOR_OTHERS, Native, User
from fmrw.capture.recorder import journal as log
from fmrw.capture.recorder.calls import SYNCHRONOUS, Calls
from fmrw.capture.recorder.direct import DirectIo
from fmrw.capture.recorder.joining import Joiner
from fmrw.capture.recorder.paths import Paths
from fmrw.capture.recorder.process import IGNORED, WRITEBACK, Identity, Processes
from fmrw.capture.recorder.sites import call_sites
from fmrw.capture.system.libc import pread_into
from fmrw.text import path_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fmrw.capture.fuse.transfers import Limits
    from fmrw.capture.mirror.dirfds import Handle
    from fmrw.capture.recorder.memory import Wanted
    from fmrw.capture.sites.numbers import Sites

_log = logging.getLogger(__name__)


class Monitor(Passthrough):
    """Mirror a directory and record every access.

    Parameters
    ----------
    root : int
        Descriptor of the directory.
    journal : Journal
        Where events go.
    capture : {"exact", "paged", "cached"}
        `exact` opens every file for direct I/O.
    ignored : iterable of int
        Processes that are not recorded.
    own : int
        A process that is not recorded, nor are its children.
    """

    def __init__(
        self,
        root: int,
        journal: log.Journal,
        *,
        capture: str = "exact",
        ignored: Iterable[int] = (),
        own: int = 0,
        grain: int = 0,
        chown_new: bool = False,
    ) -> None:
        super().__init__(root, grain=grain, chown_new=chown_new)
        self.journal = journal
        self.direct_io = DirectIo(journal, self.handles, self._unrecorded, wanted=capture == "exact")
        self._waits_for_pages = capture in SYNCHRONOUS
        self._processes = Processes(self._note_process, ignored, own)
        self._callers = Calls()
        self._paths = Paths(journal)
        self._calls: Iterator[int] = itertools.count(1)
        self.native = Native.load() if capture == "exact" else None
        if self.native is not None:
            calls = self._calls = self.native.counter(1)
            journal.share(self.native, calls)
            self._processes.forgotten = self.native.forget_thread
        self._joiner = Joiner(self._calls, self._look_up, journal.count_guess, self._await)
        self.sites: Sites | None = None
        self.limits = PLAIN

    def tell_sites(self, root: str) -> None:
        """Record which code asks, from before the first request on; `root` is the directory's path."""
        self.sites = sites = call_sites(self.journal, self.native, self.root, root)
        sites.prepare()
        native = self.native

        def forgotten(tid: int) -> None:
            sites.forget(tid)
            if native is not None:
                native.forget_thread(tid)

        self._processes.forgotten = forgotten

    @property
    def limits(self) -> Limits:
        """What a request carries at most."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self._joiner.limit(limits)
        if self.native is not None:
            self.native.limit(self._joiner.suspect)

    def fault(self, operation: str, error: BaseException) -> None:
        self.journal.count_fault()
        super().fault(operation, error)

    def agreed(self, flags: int) -> None:
        self.direct_io.agreed(flags)

    # Operations that are recorded

    def read(self, fh: int, buffer: memoryview, size: int, offset: int, exact: bool = True) -> int:  # noqa: FBT002
        handle = self.handles.get(fh)
        if handle is None:
            return self.read_other(fh, buffer, size, offset)
        try:
            done = pread_into(handle.fd, buffer, size, offset)
        except OSError as error:
            self._recorded(self._transfer, log.READ, handle, offset, size, 0, exact, error.errno or errno.EIO)
            raise
        try:  # as `_recorded`, without its cost: every read passes here
            self._transfer(log.READ, handle, offset, size, done, exact, 0)
        except BaseException as error:  # noqa: BLE001 - see `_recorded`
            self._unrecorded(error)
        return done

    def read_other(self, fh: int, buffer: memoryview, size: int, offset: int) -> int:  # noqa: ARG002
        """Read from what is no file of the directory, and is not recorded."""
        raise KeyError(fh)

    def write(self, fh: int, buffer: memoryview, size: int, offset: int, exact: bool = True) -> int:  # noqa: FBT002
        handle = self.handles[fh]
        try:
            done = super().write(fh, buffer, size, offset, exact)
        except OSError as error:
            self._recorded(
                self._transfer, log.WRITE, handle, offset, size, 0, exact, error.errno or errno.EIO
            )
            raise
        try:  # as in `read`
            if handle.append and exact:  # the data went to the end, wherever the kernel thought that was
                offset = os.lseek(handle.fd, 0, os.SEEK_END) - done
            self._transfer(log.WRITE, handle, offset, size, done, exact, 0)
        except BaseException as error:  # noqa: BLE001 - see `_recorded`
            self._unrecorded(error)
        return done

    def rung(self) -> None:
        """Ring for the reader that waits for what the compiled code has recorded."""
        self._recorded(self.journal.wake)

    def note_written(self, fh: int, size: int, offset: int, done: int) -> None:
        """Finish a write that the compiled code has done: set-id bits, and its record."""
        handle = self.handles[fh]
        if self._serves_others:
            self._clear_set_id(handle.fd)
        self._recorded(self._transfer, log.WRITE, handle, offset, size, done, True, 0)  # noqa: FBT003

    def open(self, path: bytes, flags: int) -> tuple[int, bool]:  # type: ignore[override]  # with the direct-I/O bit
        return self._opened(path, flags, lambda: super(Monitor, self).open(path, flags))

    def create(self, path: bytes, flags: int, mode: int) -> tuple[int, bool]:  # type: ignore[override]
        return self._opened(path, flags, lambda: super(Monitor, self).create(path, flags, mode))

    def _opened(self, path: bytes, flags: int, action: Callable[[], int]) -> tuple[int, bool]:
        try:
            number = action()
        except OSError as error:
            self._recorded(self._event, log.OPEN, path, 0, 0, 0, error.errno or errno.EIO)
            raise
        handle = self.handles[number]
        self._recorded(self._note_open, handle, flags)
        return number, self.direct_io.opens(handle, self.caller.context.pid)

    def flush(self, fh: int) -> None:
        handle = self.handles[fh]
        super().flush(fh)
        self._recorded(self._note_flush, handle)

    def release(self, fh: int) -> None:
        handle = self.handles[fh]
        if self.native is not None:
            self.native.forget_file(fh)
        self._recorded(self._note_close, handle)
        super().release(fh)

    def truncate(self, path: bytes, size: int) -> None:
        self._named(log.TRUNCATE, path, size, lambda: super(Monitor, self).truncate(path, size))

    def ftruncate(self, fh: int, size: int) -> None:
        handle = self.handles[fh]
        action = lambda: super(Monitor, self).ftruncate(fh, size)  # noqa: E731 - super() needs the method's frame
        self._named(log.TRUNCATE, handle.path, size, action, handle.number)

    def unlink(self, path: bytes) -> None:
        if path in self._parked:  # libfuse's own name; the removal was recorded when it happened
            super().unlink(path)
        else:
            self._named(log.UNLINK, path, 0, lambda: super(Monitor, self).unlink(path))

    def rename(self, old: bytes, new: bytes) -> None:
        if self._makes_room(old, new):  # the rename that follows is what happens
            super().rename(old, new)
            return
        op = log.UNLINK if self._hides(old, new) else log.RENAME
        size = self.size_of(old) if op == log.RENAME else 0
        self._named(op, old, size, lambda: super(Monitor, self).rename(old, new))
        if self.native is not None:  # open files have other paths now
            self.native.forget_all()
        if op == log.RENAME:
            self._recorded(self._note_rename, old, new)

    def _named(self, op: int, path: bytes, size: int, action: Callable[[], None], handle: int = 0) -> None:
        try:
            action()
        except OSError as error:
            self._recorded(self._event, op, path, 0, size, handle, error.errno or errno.EIO)
            raise
        self._recorded(self._event, op, path, size, size, handle, 0)

    # Recording

    def _recorded(self, action: Callable[..., None], *arguments: object) -> None:
        """Record, and let no fault of ours reach the program."""
        try:
            action(*arguments)
        except BaseException as error:  # noqa: BLE001 - see above
            self._unrecorded(error)

    def _unrecorded(self, error: BaseException) -> None:
        self.journal.count_fault()
        _log.error("not recorded: %r", error, exc_info=error)

    def _transfer(
        self, op: int, handle: Handle, start: int, size: int, done: int, exact: bool, code: int
    ) -> None:
        tid = self.caller.context.pid
        process = self._processes.identify(tid) if exact else self._behind(op, tid)
        if process == IGNORED:
            return
        requested, flags = size, 0
        if not exact:  # the page cache asks, in requests of its own
            call, flags = next(self._calls), log.PAGE
            if self._waits_for_pages and op == log.READ and self._callers.advises(tid):
                op = log.ADVISE
        else:
            call, requested, flags = self._joiner.join(tid, op, handle.number, start, size, done=done)
        site = self._site(tid, exact=exact) if self.sites is not None and not flags & log.CONTINUES else 0
        self.journal.append(
            time.time_ns(), start, os.lseek(handle.fd, 0, os.SEEK_END), call, done, requested, handle.number,
            self._paths.number(handle.path), process, tid, code, op, flags, site=site,
        )  # fmt: skip
        if self.native is not None and exact and size < self._joiner.suspect and not flags:
            self._learn(self.native, handle, tid, process)

    def _site(self, tid: int, *, exact: bool) -> int:
        """Give the call site of a thread that waits for a request, or a page; a fault of ours there costs the site, and not the record."""
        try:
            if self.sites is None or not tid:
                return 0
            if exact:
                return self.sites.of(tid)
            return self.sites.fault(tid) if self._waits_for_pages else 0
        except BaseException as error:  # noqa: BLE001 - see above
            self._unrecorded(error)
            return 0

    def _learn(self, native: Native, handle: Handle, tid: int, process: int) -> None:
        """Let the compiled code answer what this thread asks of this file from now on, if that are whole calls."""
        if native.knows(handle.number, tid) or not self._joiner.asks_whole(tid, handle.number):
            return
        names = self._processes.names(tid)
        others = WRITES_FOR_OTHERS if self._serves_others else WRITES
        writes = NO_WRITES if handle.append else others
        if names:
            path = self._paths.number(handle.path)
            native.learn(User(handle.number, tid, handle.fd, path, process, writes), names)

    def _behind(self, op: int, tid: int) -> int:
        """Give who is behind a request of the page cache; the kernel writes on its own, and reads for somebody."""
        return WRITEBACK if op == log.WRITE and not tid else self._processes.glimpse(tid)

    def _look_up(self, tid: int, op: int, handle: int, start: int, size: int) -> Wanted:
        """Look up what the call wants that begins with a request."""
        self.direct_io.meet(handle, tid)
        whole = size < self._joiner.suspect
        return self._callers.wanted(tid, start, size, writes=op == log.WRITE, whole=whole)

    def _await(self, tid: int) -> None:
        """Take over from the compiled code what a thread asks: more of its call is to come."""
        if self.native is not None:
            self.native.forget_thread(tid)

    def _event(self, op: int, path: bytes, end: int, size: int, handle: int, code: int) -> None:
        process = self._processes.identify(self.caller.context.pid)
        if process != IGNORED:
            self._append(op, path, end, size, handle, process, code, self.caller.context.pid)

    def _append(
        self, op: int, path: bytes, end: int, size: int, handle: int, process: int, code: int, tid: int
    ) -> None:
        """Record an event without a range; a truncation keeps its new size where others keep their start."""
        self.journal.append(
            time.time_ns(), end if op == log.TRUNCATE else 0, size, next(self._calls), 0, 0, handle,
            self._paths.number(path), process, tid, code, op, 0,
        )  # fmt: skip

    def _note_open(self, handle: Handle, flags: int) -> None:
        status = os.fstat(handle.fd)
        self._paths.note_file(handle.path, status)
        self._event(log.OPEN, handle.path, 0, status.st_size, handle.number, 0)
        if flags & os.O_TRUNC:
            self._event(log.TRUNCATE, handle.path, 0, 0, handle.number, 0)

    def _note_flush(self, handle: Handle) -> None:
        """Remember who closes: the release that follows comes from the kernel, without a thread."""
        tid = self.caller.context.pid
        handle.closer = (tid, self._processes.known(tid))

    def _note_close(self, handle: Handle) -> None:
        status = os.fstat(handle.fd)
        self._paths.note_file(handle.path, status)
        tid, process = handle.closer
        if process is None:  # nobody waits any more
            process = self._processes.glimpse(tid)
        if process != IGNORED:
            self._append(log.CLOSE, handle.path, 0, status.st_size, handle.number, process, 0, tid)

    def _note_rename(self, old: bytes, new: bytes) -> None:
        self.journal.note("rename", time_ns=time.time_ns(), old=path_text(old[1:]), new=path_text(new[1:]))

    def _note_process(self, number: int, who: Identity) -> None:
        self.journal.note_process(number, time.time_ns(), who)
        self.direct_io.meet_thread(who.tid, who.thread)
