"""Mount: a directory that this process monitors, the thread that follows its journal, and the trace that grows.

`Mount` is the composition root of capture: here a worker process (or, with `worker="thread"`, a thread), the journal's follower
and the session's folder come together. A mount made here ends with its owner, however the owner ends.

Working directories. A process that stands inside DIR when it is mounted goes on looking at what lies beneath. The mounting
process itself is led back in by its own path, and out again before unmounting; children of `run` are started with the path
looked up anew. Others must `cd` again, and are not recorded until they do.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import shutil
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.capture.reports.helper import uncollected
from fmrw.capture.system.patience import STEP_S, Patience
from fmrw.capture.worker.own_code import code_below
from fmrw.capture.worker.settings import Settings, hold, open_session
from fmrw.errors import Busy, FmrwError, MountError, NotMounted
from fmrw.recording.workers import InProcess, InThread
from fmrw.session.beneath import Beneath
from fmrw.text import visible
from fmrw.trace import folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import polars as pl

    from fmrw.session.trace import Trace

GRACE_S = 1
"""How long a detached worker may take before it is left alone."""


class Mount:
    """A monitored directory. Make one with `fmrw.mount`; it is a context manager.

    Attributes
    ----------
    root : Path
        The directory.
    session : Path or None
        The folder that is recorded into; None once a temporary one is gone.
    worker_pid : int
        The process that serves the mount.
    trace : Trace
        What was recorded so far; it grows, and stays after `unmount`.
    """

    def __init__(self, settings: Settings, *, thread: bool, facts: Mapping[str, Any]) -> None:
        self.root = Path(settings.root)
        self.session: Path | None = Path(settings.session)
        self.settings = settings
        self._facts = dict(facts)
        self._folder = open_session(settings.session)  # the mount may cover it
        self._recorded = threading.Event()
        self._detached = False
        self._beneath = Beneath(self.root)
        try:
            hold(self._folder)
            if code_below(
                settings.root
            ):  # else these are loaded through the mount, and keep it as long as we run
                _import_frames()
            self._runner = InThread(settings) if thread else InProcess(settings, _import_frames)
            journal = os.open(
                folder.JOURNAL, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder
            )
        except BaseException:
            os.close(self._folder)
            self._beneath.close()
            raise
        self.worker_pid = self._runner.pid
        self._follow(journal)
        _live.add(self)
        self._step_inside()

    def _follow(self, journal: int) -> None:
        from fmrw.recording.feed import Feed  # noqa: PLC0415 - see `_import_frames`
        from fmrw.session.trace import Trace  # noqa: PLC0415 - the same

        self._feed = Feed(journal, self._runner.bell, self._ended)
        self.trace = Trace(self)

    # What a trace asks its source for

    sealed = None

    def lazy(self) -> pl.LazyFrame:
        """Give all events up to now."""
        return self._feed.lazy()

    def processes(self) -> pl.DataFrame:
        """Give the processes up to now."""
        return self._feed.processes()

    def sites(self) -> pl.DataFrame:
        """Give the call sites up to now."""
        return self._feed.sites()

    def facts(self) -> Mapping[str, Any]:
        """Give what `session.json` holds, or will."""
        return {**self._facts, **self._feed.counts()}

    def open(self, path: bytes) -> int | None:
        """Open a file's content beneath the mount, so that looking adds no events."""
        return self._beneath.open(path)

    # Its end

    @property
    def active(self) -> bool:
        """Whether the directory is mounted still."""
        return self._feed.thread.is_alive() and registry.mounted_at(self.root) is not None

    @property
    def error(self) -> BaseException | None:
        """What went wrong in the background, if anything did."""
        return self._feed.error

    def unmount(self, *, force: bool = False, abort: bool = False) -> Trace:
        """Take the mount away and finish the session; harmless when it is gone already.

        Parameters
        ----------
        force
            Detach a busy mount: open files go on working, new accesses are not recorded.
        abort
            Break the connection of a worker that does not answer.

        Raises
        ------
        Busy
            Files or working directories hold it; the message names who.
        """
        outside = self._step_outside()
        self._detached |= force
        try:
            self._runner.wake()
            with contextlib.suppress(NotMounted):  # somebody else was faster
                self._detached = not unmounting.unmount(self.root, force=force, abort=abort)
        finally:
            if outside is not None:
                os.chdir(outside)
        if abort:
            self._runner.end()
        ended = self._feed.join(GRACE_S) if self._detached else self._await_worker()
        if (
            not ended and self._recorded.is_set()
        ):  # what is left is sealing, which takes as long as there are events
            self._feed.thread.join()
            ended = True
        if ended:
            _live.discard(self)
        elif not self._detached:
            raise MountError(
                f"{visible(str(self.root))}: the worker does not end; `fmrw unmount --abort` ends it."
            )
        if self._feed.error is not None:
            raise self._feed.error
        return self.trace

    def _await_worker(self) -> bool:
        """Wait for the end of the worker and of the thread that follows it, however slow they are; tell whether it came."""
        patience = Patience(self.worker_pid)
        while not self._feed.join(STEP_S):
            if not (self._runner.ended or patience.lasts()):  # what is left then is our own thread's work
                return False
        return True

    def _ended(self) -> None:
        """Finish the session: seal a kept one, drop a temporary one."""
        try:
            is_finished = self._runner.wait()
            self._recorded.set()
            unmounting.heal(self.root)  # a worker that was killed together with its guard
            if is_finished:
                return
            if self.settings.ephemeral:
                self.session = None
                shutil.rmtree(self.settings.session, ignore_errors=True)
            else:
                from fmrw.trace import store  # noqa: PLC0415 - see `_import_frames`

                store.seal(Path(self.settings.session))
                if self.settings.sites:
                    from fmrw.session import sites  # noqa: PLC0415 - reads programs

                    sites.keep_names(Path(self.settings.session))
        finally:
            os.close(self._folder)
            self._beneath.close()

    def leave(self) -> None:
        """Unmount at the interpreter's end, which stops the thread that finishes the session; a worker that goes on does that then."""
        try:
            self.unmount()
        except FmrwError:  # busy, or slow
            self.unmount(force=True)
        finally:
            if self._feed.thread.is_alive():
                self._runner.hand_over()
                if self._feed.is_closed():  # before we said so, perhaps: then it leaves that to us, and ends
                    self._feed.thread.join()

    def _step_inside(self) -> None:
        """Look this process's working directory up again, so that it lies on the mount and not beneath."""
        if self._works_inside():
            os.chdir(Path.cwd())

    def _step_outside(self) -> str | None:
        if not self._works_inside():
            return None
        here = str(Path.cwd())
        os.chdir("/")
        return here

    def _works_inside(self) -> bool:
        try:
            here = Path.cwd()
        except OSError:  # it was removed
            return False
        return here == self.root or self.root in here.parents

    def __enter__(self) -> Self:
        """Give the mount."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unmount; a busy mount is detached."""
        try:
            self.unmount()
        except Busy:
            self.unmount(force=True)

    def __repr__(self) -> str:
        """Say what is mounted."""
        state = "monitoring" if self.active else "ended:"
        return f"<fmrw.Mount {state} {visible(str(self.root))}, {self.settings.capture}>"


def _import_frames() -> None:
    """Import polars while the worker starts, which takes as long: a machine has more than one processor."""
    with uncollected():
        importlib.import_module("fmrw.recording.feed")
        importlib.import_module("fmrw.session.trace")


_live: weakref.WeakSet[Mount] = weakref.WeakSet()


@atexit.register
def _unmount_all() -> None:
    """Leave nothing mounted when the interpreter ends."""
    for mount_ in list(_live):
        with contextlib.suppress(FmrwError):
            mount_.leave()


def live() -> list[Mount]:
    """Give the mounts of this process that are there now."""
    return [mount_ for mount_ in _live if mount_.active]
