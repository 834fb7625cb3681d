"""Worker: one process that mounts, serves and records one directory until it is unmounted.

Started as `python -m fmrw.capture.worker.serve SESSION` by `fmrw.capture.worker.start`, which writes one line of JSON (`Settings`) to its
standard input and reads one line of JSON from its standard output: `{"ready": …}` or `{"error": …}`. After that line
every byte on standard output says "there is something new in the journal" to a reader that armed the bell.

How it ends
-----------
- Somebody unmounts: the loop ends by itself, the journal is closed.
- The parent dies (end of file on standard input) or a signal asks to stop: the mount is detached, so that the directory is
  the plain one for everybody at once, and files still open are served until they are closed.
- SIGKILL: libfuse's `auto_unmount` helper detaches the mount; the journal needs no goodbye.

As long as it runs it holds a lock on the session's folder (`hold`), so that nobody takes a temporary session for abandoned.

Where its own Python lies below the directory, it and its helpers import from beneath the mount (`fmrw.capture.worker.own_code`).

The worker leads a session of its own, so that Jupyter's interrupt, which goes to a whole process group, passes it by.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import json
import logging
import os
import resource
import select
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmrw.capture.mounts.registry import NAME
from fmrw.capture.recorder.journal import Journal
from fmrw.capture.system.proc import call_itself
from fmrw.capture.system.spawn import start_without_the_lock
from fmrw.capture.worker import auto_unmount
from fmrw.capture.worker.own_code import code_below, look_beneath
from fmrw.capture.worker.settings import Settings, hold, open_session, options_of
from fmrw.errors import MountError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


UNFINISHED = ".report-"
"""How names of reports begin that are being made in a session's folder."""
FINISHED = 3
"""Exit status of an attached worker whose owner was gone or had left the session to it."""
_LOGGED = 1000
_AGAIN_S = 0.5
_M_ARENA_MAX = -8  # malloc.h


class Worker:
    """Serve one directory in this process; `run` returns when it is unmounted.

    With `session`, the descriptor of the session's folder, the process is fmrw's own, and is not recorded.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[bytes], None],
        detach: Callable[[], None],
        session: int | None = None,
    ) -> None:
        self.settings = settings
        self._say = say
        self._detach = detach
        self._mounted = threading.Event()
        self._own = 0 if session is None else os.getpid()
        self._session = open_session(settings.session) if session is None else session
        hold(self._session)
        self._root = os.open(settings.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._opened = [self._session, self._root]
        self._guard: auto_unmount.Socket | None = None

    def run(self, started: Callable[[], None] = lambda: None) -> int:
        """Mount, serve until unmounted, close the journal; give libfuse's status."""
        from fmrw.capture.fuse.adapter import Adapter  # noqa: PLC0415 - raises where libfuse 2 is missing
        from fmrw.capture.reports.files import ReportFiles  # noqa: PLC0415 - the same

        code = code_below(self.settings.root)
        if self._own:
            look_beneath(self.settings.root, self._root)
            start_without_the_lock()  # the helper's Python may lie below the mount
        journal = Journal(self._open_journal(), ring=lambda: self._say(b"\n"))
        operations = ReportFiles(
            self._root, journal,
            makers=self._makers(), shown=self.settings.reports, shared=self.settings.allow_other, capture=self.settings.capture,
            grain=self.settings.grain, chown_new=os.geteuid() == 0, ignored=self.settings.ignored,
            own=self._own, code=[os.fsencode(f"/{folder}") for folder in code],
        )  # fmt: skip

        if self.settings.sites:
            operations.tell_sites(self.settings.root)
        before = {} if self._own else auto_unmount.sockets()

        def ready() -> None:
            self._guard = None if self._own else auto_unmount.only_new(before, auto_unmount.sockets())
            self._mounted.set()
            started()
            if operations.sites is not None:
                operations.sites.mounted()
            self._say(json.dumps({"ready": os.getpid()}).encode() + b"\n")

        direct = self.settings.capture == "exact"
        root, options = os.fsencode(self.settings.root), options_of(self.settings)
        adapter = Adapter(operations, root, options, ready, direct=direct)
        try:
            return adapter.serve()
        finally:
            operations.close()
            if operations.sites is not None:
                operations.sites.close()
            journal.close()

    def _open_journal(self) -> int:
        os.mkdir("journal", 0o700, dir_fd=self._session)
        folder = os.open("journal", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._session)
        self._opened.append(folder)
        return folder

    def close(self) -> None:
        """Close what was opened here, libfuse's socket to its guard too; for a process that goes on."""
        while self._opened:
            os.close(self._opened.pop())
        if self._guard is not None:
            auto_unmount.let_go(self._guard)
        self._guard = None

    def _makers(self) -> Mapping[bytes, Callable[[str], int]]:
        if not self.settings.renderer:
            return {}
        module: Any = importlib.import_module(self.settings.renderer)
        makers: Mapping[bytes, Callable[[str], int]] = module.makers(self._session)
        return Tidy(self._session).over(makers)

    def watch(self, watched: Sequence[int]) -> None:
        """Detach the mount when one of these descriptors has something to say; runs in a thread of its own."""
        select.select(watched, [], [])
        self._mounted.wait()  # who asks before there is a mount asks for this one
        while not self._try_detach():
            threading.Event().wait(_AGAIN_S)

    def _try_detach(self) -> bool:
        try:
            self._detach()
        except (OSError, MountError) as error:  # no process to be had for fusermount: later, perhaps
            logging.getLogger(__name__).warning("not detached: %s", error)
            return False
        return True


class Tidy:
    """Removes the unfinished reports of helpers that were killed or met a full disk, as soon as no report is being made."""

    def __init__(self, session: int) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._working = 0

    def over(self, makers: Mapping[bytes, Callable[[str], int]]) -> Mapping[bytes, Callable[[str], int]]:
        """Give the same makers, after each of which is tidied."""
        return {suffix: functools.partial(self._make, maker) for suffix, maker in makers.items()}

    def _make(self, maker: Callable[[str], int], path: str) -> int:
        with self._lock:
            self._working += 1
        try:
            return maker(path)
        finally:
            with self._lock:
                self._working -= 1
                if not self._working:
                    self._remove()

    def _remove(self) -> None:
        for name in os.listdir(self._session):  # noqa: PTH208 - a descriptor
            if name.startswith(UNFINISHED):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._session)


def _bounded_log() -> logging.Handler:
    """Log to standard error, which is the session's `worker.log`, and stop before it fills a disk."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    left = iter(range(_LOGGED))
    handler.addFilter(lambda _record: next(left, None) is not None)
    return handler


def _prepare_process() -> None:
    """Take a name, raise the limits of open files and of file sizes, drop the umask, leave every directory, stay small, log."""
    call_itself(NAME)
    for limit in (
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_FSIZE,
    ):  # the callers' own limits hold in the kernel
        _soft, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (hard, hard))
    os.umask(0)
    os.chdir("/")
    with contextlib.suppress(AttributeError):  # a C library without mallopt(3)
        ctypes.CDLL(None).mallopt(
            _M_ARENA_MAX, 1
        )  # a heap per thread keeps a fifth more, and the GIL serves one anyway
    logging.basicConfig(level=logging.WARNING, handlers=[_bounded_log()])


def _signals_as_bytes() -> int:
    """Turn SIGTERM, SIGINT and SIGHUP into bytes on a pipe; libfuse leaves handlers that are set alone."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reading


def _speaker() -> Callable[[bytes], None]:
    """Take standard output for the bell and give programs started from here another one."""
    bell = os.dup(1)
    os.set_inheritable(bell, False)  # noqa: FBT003 - its name says it
    os.set_blocking(bell, True)
    os.dup2(2, 1)

    def say(data: bytes) -> None:
        try:
            os.write(bell, data)
        except OSError as error:  # nobody listens any more; the journal is what counts
            logging.getLogger(__name__).info("bell: %s", error)

    return say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker process.

    The first argument is the descriptor of the session's folder, the second its name; `fmrw status` finds both in the
    process's command line.
    """
    from fmrw.capture.mounts.unmount import detach  # noqa: PLC0415 - only the process detaches, a thread's owner unmounts

    session = int((sys.argv[1:] if arguments is None else arguments)[0])
    os.set_inheritable(session, False)  # noqa: FBT003 - or fusermount, which outlives us, would hold the lock
    settings = Settings(**json.loads(sys.stdin.buffer.readline()))
    say = _speaker()
    _prepare_process()
    wake = _signals_as_bytes()
    low = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        worker = Worker(settings, say, lambda: detach(Path(settings.root)), session)
    except OSError as error:
        say(json.dumps({"error": f"{error.strerror}: {error.filename!r}"}).encode() + b"\n")
        return 1
    parent = _parent() if settings.attached else []
    threading.Thread(target=worker.watch, args=([wake, *parent],), daemon=True).start()
    try:
        status = worker.run(lambda: auto_unmount.move(low))
    except (OSError, ImportError) as error:
        say(json.dumps({"error": str(error)}).encode() + b"\n")
        return 1
    if settings.renderer and (
        not parent or select.select(parent, [], [], 0)[0]
    ):  # nobody else seals the session
        importlib.import_module(settings.renderer).finish(settings.session, ephemeral=settings.ephemeral)
        return FINISHED if parent else status
    return status


def _parent() -> list[int]:
    """Give descriptors that become readable when the parent ends.

    Standard input ends with it unless a forked child of the parent holds the other end; a pidfd (Linux 5.3) does not care.
    """
    try:
        return [sys.stdin.fileno(), os.pidfd_open(os.getppid())]
    except OSError:
        return [sys.stdin.fileno()]


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # libfuse's threads still carry Python states that a normal end would wait for
