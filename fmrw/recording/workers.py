"""Workers: a worker process with its log, or a thread of this process, serves a mount."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.capture.mounts import unmount as unmounting
from fmrw.capture.reports import helper
from fmrw.capture.system import libc
from fmrw.capture.system.patience import STEP_S, Patience
from fmrw.capture.system.spawn import start_without_the_lock
from fmrw.capture.worker import start as starting
from fmrw.capture.worker.own_code import code_below
from fmrw.capture.worker.serve import FINISHED, Worker
from fmrw.errors import MountError, NotMounted
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.capture.worker.settings import Settings


class InProcess:
    """A worker process and its log; `meanwhile` is done while it starts."""

    def __init__(self, settings: Settings, meanwhile: Callable[[], None] = lambda: None) -> None:
        log = Path(settings.session) / "worker.log"
        with log.open("wb") as stream:
            log.chmod(0o600)
            try:
                self._running = starting.start(settings, stream, meanwhile)
            except MountError as error:
                said = visible(log.read_text(errors="replace").strip().replace("\n", "; "))
                raise type(error)(str(error).replace("{log}", _cure(said, str(error)))) from error
        self.pid = self._running.pid
        self.bell = self._running.bell

    @property
    def ended(self) -> bool:
        """Whether the worker is gone."""
        return not self._running.runs

    def release(self) -> int:
        """Let the worker go on by itself; give its id."""
        self._running.release()
        return self.pid

    def wake(self) -> None:
        """Let a stopped worker go on."""
        if self._running.runs:
            unmounting.wake(self.pid)

    def end(self) -> None:
        """End a worker that does not answer."""
        if self._running.runs:
            unmounting.end(self.pid)

    def hand_over(self) -> None:
        """Leave the session to the worker."""
        self._running.hand_over()

    def wait(self) -> bool:
        """Wait for the worker's end; tell whether it has finished the session."""
        patience = Patience(self.pid)
        while (status := self._running.wait(STEP_S)) is None:
            if not patience.lasts():
                raise MountError(f"the worker {self.pid} does not end after its mount; `kill {self.pid}`.")
        return status == FINISHED


def _cure(said: str, error: str = "") -> str:
    """Turn what libfuse and fusermount print, or Python where libfuse is missing, into a cure."""
    if "user_allow_other" in said:
        return "Add the line `user_allow_other` to /etc/fuse.conf, or leave --allow-other out."
    if "libfuse" in f"{said} {error}".lower():
        return "libfuse 2 is missing; try `sudo apt-get install libfuse2` (or `libfuse2t64`)."
    return f"FUSE says: {said or 'nothing'}. `fmrw doctor` tells more."


class InThread:
    """A FUSE loop in a thread of this process.

    What can freeze: while a thread of this process waits for the mount in a page fault (`mmap`, `ctypes.CDLL`,
    `numpy.memmap`), it holds the interpreter's lock, the handler needs that lock, and both wait for ever, beyond SIGKILL, until
    the connection is aborted (`fmrw unmount --abort` from another process). Use it only where nothing maps files; a directory
    that holds this Python itself is refused. Programs may be started inside by `subprocess`
    (see `start_without_the_lock`), not by `os.posix_spawn`.
    """

    def __init__(self, settings: Settings) -> None:
        if code_below(settings.root):
            raise MountError(
                f'{visible(settings.root)} holds the Python that runs fmrw, which would wait for itself; leave out worker="thread".'
            )
        start_without_the_lock()
        self.pid = os.getpid()
        self._root = Path(settings.root)
        self.bell, self._say_fd = os.pipe2(os.O_CLOEXEC)
        self._ready = threading.Event()
        self._failure: str | None = None
        worker = Worker(settings, self._say, lambda: unmounting.detach(Path(settings.root)))
        self._worker = worker
        self._thread = threading.Thread(target=self._serve, args=(worker,), name="fmrw-worker", daemon=True)
        self._thread.start()
        patience = Patience(self.pid)
        while not self._ready.wait(STEP_S):
            if patience.lasts():
                continue
            raise NotMounted(f"{visible(settings.root)}: FUSE did not answer. `fmrw doctor` tells more.")
        if self._failure is not None:
            self.wait()
            raise NotMounted(
                f"{visible(settings.root)}: not mounted: {visible(self._failure)}. {_cure(self._failure)}"
            )

    def _say(self, data: bytes) -> None:
        if data == b"\n":  # the bell; the ready line has no reader here
            os.write(self._say_fd, data)

    def _serve(self, worker: Worker) -> None:
        try:
            if worker.run(self._started):
                self._failure = "libfuse refused"
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            self._failure = str(error)
        finally:
            os.close(self._say_fd)
            self._ready.set()

    def _started(self) -> None:
        """Take back the signals libfuse has taken over, then say so."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                libc.default_signal(number)
        self._ready.set()

    @property
    def ended(self) -> bool:
        """Whether the loop has ended."""
        return not self._thread.is_alive()

    def hand_over(self) -> None:
        """Do nothing: a thread ends with its process."""

    def wait(self) -> bool:
        """Wait for the thread's end, and close what it used; a thread finishes no session."""
        patience = Patience(self.pid)
        self._thread.join(STEP_S)
        while self._thread.is_alive() and patience.lasts():
            self._thread.join(STEP_S)
        os.close(self.bell)
        unmounting.end_guards(self._root)
        helper.close()
        self._worker.close()
        return False

    def wake(self) -> None:
        """Do nothing: a thread stops with its process."""

    def end(self) -> None:
        """Do nothing: the thread ends by itself once its connection is broken."""
