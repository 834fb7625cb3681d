"""`mount` and `run`: a worker over a directory, a thread that follows its journal, and the trace that grows.

`Mount` is the composition root of capture: here a worker process (or, with `worker="thread"`, a thread), the journal's follower
and the session's folder come together. A mount made here ends with its owner, however the owner ends.

Working directories. A process that stands inside DIR when it is mounted goes on looking at what lies beneath. The mounting
process itself is led back in by its own path, and out again before unmounting; children of `run` are started with the path
looked up anew. Others must `cd` again, and are not recorded until they do.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl
import psutil

import fmrw
from fmrw.capture import libc
from fmrw.capture import mount as mounting
from fmrw.capture.process import descriptor_path
from fmrw.capture.serve import Settings, Worker, hold, open_session
from fmrw.errors import Busy, FmrwError, MountError, NotMounted, SessionError
from fmrw.session import Trace
from fmrw.sources import open_below
from fmrw.text import visible
from fmrw.trace import schema, store
from fmrw.trace.follow import Follower

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

CaptureMode = Literal["exact", "paged", "cached"]
ReportMode = Literal["beside", "hidden", "aside", "off"]
_BATCH_S = 0.15  # how long events are gathered before the frame grows
_END_S = 10
_SEAL_S = 600  # a session of 100 million events takes a while to become Parquet
_MAPPING_HINT = "exact: a program that maps files shared (mmap) gets ENODEV; monitor with --capture paged if one needs it."
RENDERER = "fmrw.reports"
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # exit statuses as a shell gives them


class _Feed:
    """A thread that appends what the journal holds to a frame, until the worker has ended."""

    def __init__(self, journal: int, bell: int, ended: Callable[[], None]) -> None:
        self._journal = journal
        self._follower = Follower(journal)
        self._bell = bell
        self._ended = ended
        self._frames = [schema.empty()]
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="fmrw-feed", daemon=True)
        self.thread.start()

    def drain(self) -> None:
        """Take in what is there now."""
        with self._lock:
            if self._journal >= 0:
                self._frames.extend(frame for frame in self._follower.batches() if frame.height)

    def frame(self) -> pl.DataFrame:
        """Give all events up to now."""
        self.drain()
        with self._lock:
            if len(self._frames) > 1:
                self._frames = [pl.concat(self._frames)]
            return self._frames[0]

    def processes(self) -> pl.DataFrame:
        """Give the processes up to now."""
        with self._lock:
            if self._journal >= 0:
                self._follower.names.refresh()
            return self._follower.names.processes_frame()

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
                self._hurry.wait(_BATCH_S)
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
        mounting.readable(self._bell, None)
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
                self._frames.extend(self._follower.flush())
        finally:
            with self._lock:
                self._follower.close()
                os.close(self._journal)
                self._journal = -1

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; tell whether it came."""
        self._hurry.set()
        self.thread.join(timeout_s)
        return not self.thread.is_alive()


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
        self._beneath = _Directory(self.root)
        self._folder = open_session(settings.session)  # the mount may cover it
        try:
            hold(self._folder)
            self._runner = _InThread(settings) if thread else _InProcess(settings)
            journal = os.open(store.JOURNAL, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder)
        except BaseException:
            os.close(self._folder)
            raise
        self.worker_pid = self._runner.pid
        self._feed = _Feed(journal, self._runner.bell, self._ended)
        self.trace = Trace(self)
        _live.add(self)
        self._step_inside()

    # What a trace asks its source for

    def lazy(self) -> pl.LazyFrame:
        """Give all events up to now."""
        return self._feed.frame().lazy()

    def processes(self) -> pl.DataFrame:
        """Give the processes up to now."""
        return self._feed.processes()

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
        return self._feed.thread.is_alive() and mounting.mounted_at(self.root) is not None

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
        try:
            self._runner.wake()
            with contextlib.suppress(NotMounted):  # somebody else was faster
                mounting.unmount(self.root, force=force, abort=abort)
        finally:
            if outside is not None:
                os.chdir(outside)
        if abort:
            self._runner.end()
        ended = self._feed.join(1 if force else _END_S)
        if ended:
            _live.discard(self)
        elif not force:
            raise MountError(
                f"{visible(str(self.root))}: the worker does not end; `fmrw unmount --abort` ends it."
            )
        if self._feed.error is not None:
            raise self._feed.error
        return self.trace

    def _ended(self) -> None:
        """Finish the session: seal a kept one, drop a temporary one."""
        try:
            self._runner.wait()
            if self.settings.ephemeral:
                self.session = None
                shutil.rmtree(self.settings.session, ignore_errors=True)
            else:
                store.seal(Path(self.settings.session))
        finally:
            os.close(self._folder)
            self._beneath.close()

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


class _InProcess:
    """A worker process and its log."""

    def __init__(self, settings: Settings) -> None:
        log = Path(settings.session) / "worker.log"
        with log.open("wb") as stream:
            log.chmod(0o600)
            try:
                self._running = mounting.start(settings, stream)
            except MountError as error:
                said = visible(log.read_text(errors="replace").strip().replace("\n", "; "))
                raise type(error)(str(error).replace("{log}", _cure(said))) from error
        self.pid = self._running.pid
        self.bell = self._running.bell

    def release(self) -> int:
        self._running.release()
        return self.pid

    def wake(self) -> None:
        if self._running.runs:
            mounting.wake(self.pid)

    def end(self) -> None:
        if self._running.runs:
            mounting.end(self.pid)

    def wait(self) -> None:
        if self._running.wait(_END_S) is None:
            raise MountError(f"the worker {self.pid} does not end after its mount; `kill {self.pid}`.")


def _cure(said: str) -> str:
    """Turn what libfuse and fusermount print into a cure."""
    if "user_allow_other" in said:
        return "Add the line `user_allow_other` to /etc/fuse.conf, or leave --allow-other out."
    if "libfuse" in said.lower():
        return "libfuse 2 is missing; try `sudo apt-get install libfuse2` (or `libfuse2t64`)."
    return f"FUSE says: {said or 'nothing'}. `fmrw doctor` tells more."


class _InThread:
    """A FUSE loop in a thread of this process.

    What can freeze: while a thread of this process waits for the mount in a page fault (`mmap`, `ctypes.CDLL`,
    `numpy.memmap`), it holds the interpreter's lock, the handler needs that lock, and both wait for ever, beyond SIGKILL, until
    the connection is aborted (`fmrw unmount --abort` from another process). Use it only where nothing maps files.
    """

    def __init__(self, settings: Settings) -> None:
        self.pid = os.getpid()
        self.bell, self._say_fd = os.pipe2(os.O_CLOEXEC)
        self._ready = threading.Event()
        self._failure: str | None = None
        worker = Worker(settings, self._say, lambda: mounting.detach(Path(settings.root)))
        self._thread = threading.Thread(target=self._serve, args=(worker,), name="fmrw-worker", daemon=True)
        self._thread.start()
        if not self._ready.wait(_END_S) or self._failure is not None:
            raise NotMounted(
                f"{visible(settings.root)}: not mounted: {self._failure or 'FUSE did not answer'}. `fmrw doctor` tells more."
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

    def wait(self) -> None:
        self._thread.join(_END_S)
        os.close(self.bell)

    def wake(self) -> None:
        """Do nothing: a thread stops with its process."""

    def end(self) -> None:
        """Do nothing: the thread ends by itself once its connection is broken."""


_live: weakref.WeakSet[Mount] = weakref.WeakSet()


@atexit.register
def _unmount_all() -> None:
    """Leave nothing mounted when the interpreter ends."""
    for mount_ in list(_live):
        with contextlib.suppress(FmrwError):  # a busy mount was detached; its worker finishes alone
            mount_.unmount(force=True)


def live() -> list[Mount]:
    """Give the mounts of this process that are there now."""
    return [mount_ for mount_ in _live if mount_.active]


def mount(
    directory: str | os.PathLike[str],
    *,
    capture: CaptureMode = "exact",
    grain: int = 0,
    reports: ReportMode = "beside",
    read_only: bool = False,
    allow_other: bool = False,
    worker: Literal["process", "thread"] = "process",
    output: str | os.PathLike[str] | None = None,
    command: Sequence[str] | None = None,
    ignored: Sequence[int] = (),
) -> Mount:
    """Monitor a directory.

    Parameters
    ----------
    directory
        An existing directory; what is in it stays where it is, seen through the mount.
    capture
        `exact`: every read and write, to the byte; shared `mmap` gets ENODEV. `paged`: the first touch of every page,
        shared `mmap` included. `cached`: what the page cache asks for, read-ahead and all.
    grain
        `st_blksize` to report, which sizes the buffers of glibc's stdio and of CPython; 0 leaves it.
    reports
        Where `NAME.csv` and `NAME-heatmap.pdf` are seen: `beside` the files, `hidden` (by name only), `aside`
        (under `.fmrw/`), `off`.
    read_only
        Refuse every change with EROFS.
    allow_other
        Let other users in, with the permissions of the files.
    worker
        `process` (default), or `thread` in this process: see `_InThread` for what can freeze then.
    output
        Session folder to record into; without it a temporary one, gone after `unmount` (the trace stays in memory).
    command
        What is run, kept in the session.
    ignored
        Processes that are not recorded, by id.

    Raises
    ------
    MountError, SessionError
        One line that ends with the cure; nothing is mounted then.
    """
    root = mounting.resolved(directory)
    mounting.check_machine()
    mounting.check_directory(root)
    store.sweep()
    session = Path(output).resolve() if output is not None else Path(tempfile.mkdtemp(prefix=store.TEMPORARY))
    settings = Settings(
        root=str(root), session=str(session), capture=capture, grain=grain, reports=reports, read_only=read_only,
        allow_other=allow_other, ephemeral=output is None, ignored=[*ignored], renderer=RENDERER,
    )  # fmt: skip
    try:
        store.create(session, _facts(settings, command))
    except BaseException:
        if settings.ephemeral:
            shutil.rmtree(session, ignore_errors=True)
        raise
    try:
        return Mount(settings, thread=worker == "thread", facts=store.read_facts(session))
    except BaseException:
        shutil.rmtree(session, ignore_errors=True)  # ours, made above, and nothing was recorded
        raise


def start_background(root: Path, session: Path, **options: Any) -> int:  # noqa: ANN401 - those of `mount`
    """Monitor a directory with a worker that outlives this process; give the worker's id.

    The session is sealed by the worker when somebody unmounts.
    """
    settings = Settings(root=str(root), session=str(session), attached=False, renderer=RENDERER, **options)
    mounting.check_machine()
    mounting.check_directory(root)
    store.create(session, _facts(settings, None))
    try:
        return _InProcess(settings).release()
    except BaseException:
        shutil.rmtree(session, ignore_errors=True)  # ours, made above, and nothing was recorded
        raise


def _facts(settings: Settings, command: Sequence[str] | None) -> dict[str, Any]:
    options = {
        name: getattr(settings, name) for name in ("capture", "grain", "reports", "read_only", "allow_other")
    }
    return {
        "fmrw": fmrw.__version__,
        "root": settings.root,
        "ephemeral": settings.ephemeral,
        "options": options,
        "command": list(command) if command is not None else None,
        "parent": os.getpid(),
        "parent_name": psutil.Process().name(),
    }


@dataclass(frozen=True)
class Run:
    """A command that ran under a mount.

    Attributes
    ----------
    status : int
        Its exit status as a shell gives it: 128 + N for signal N.
    trace : Trace
        What it did.
    session : Path or None
        Where that is kept.
    """

    status: int
    trace: Trace
    session: Path | None


def run(
    command: Sequence[str],
    directory: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    reports: ReportMode = "aside",
    watch: Callable[[Mount, subprocess.Popen[bytes]], int] | None = None,
    stdout: int | None = None,
    **options: Any,  # noqa: ANN401 - those of `mount`
) -> Run:
    """Run a command with a directory monitored, then unmount.

    Parameters
    ----------
    command
        Program and arguments, not a shell line.
    directory
        As for `mount`; so are the other options.
    output
        Session folder to keep the recording in.
    watch
        Called with the mount and the running child, waits for it and gives its status (for a progress display).
    stdout
        `subprocess.PIPE` hands the child's output, errors included, to `watch`; without it the child has ours.

    Raises
    ------
    SessionError, MountError
        The directory cannot be monitored.
    """
    if not command:
        raise SessionError("no command; write it after `--`.")
    with mount(directory, reports=reports, output=output, command=command, **options) as mounted:
        status = _spawn(command, mounted, watch or (lambda _mount, child: child.wait()), stdout)
    return Run(status, mounted.trace, mounted.session)


def _spawn(
    command: Sequence[str],
    mounted: Mount,
    watch: Callable[[Mount, subprocess.Popen[bytes]], int],
    stdout: int | None,
) -> int:
    """Start a child whose working directory is looked up on the mount; give its status as a shell does."""
    try:
        child = subprocess.Popen(
            command, cwd=Path.cwd(), stdout=stdout, stderr=None if stdout is None else subprocess.STDOUT
        )
    except FileNotFoundError:
        return NOT_FOUND
    except OSError:
        return NOT_EXECUTABLE
    try:
        status = watch(mounted, child)
    except BaseException:
        child.terminate()
        child.wait()
        raise
    return status if status >= 0 else 128 - status


# Mounts that need not be of this process


def unmount(directory: str | os.PathLike[str], *, force: bool = False, abort: bool = False) -> Path | None:
    """Stop monitoring a directory, whoever mounted it, and wait for its session.

    Parameters
    ----------
    directory, force, abort
        As for `Mount.unmount`.

    Returns
    -------
    Path or None
        The session's folder; None when it is not kept or not known.

    Raises
    ------
    NotMounted, Busy
    """
    root = mounting.resolved(directory)
    own = next((mount_ for mount_ in live() if mount_.root == root), None)
    if own is not None:
        own.unmount(force=force, abort=abort)
        return own.session
    worker = mounting.worker_of(root)
    kept = worker is not None and not mounting.session_facts(worker.folder).get("ephemeral")
    if worker is not None:
        mounting.wake(worker.pid)
    mounting.unmount(root, force=force, abort=abort)
    if worker is None:
        return None
    if abort:
        mounting.end(worker.pid)
    mounting.await_end(worker.pid, 1 if force else _SEAL_S)
    return worker.session if kept else None


def wait_until_unmounted(directory: Path, worker: int) -> None:
    """Wait for a worker's end; whatever interrupts the wait unmounts."""
    try:
        mounting.await_end(worker, None)
    finally:
        if mounting.mounted_at(directory) is not None:
            try:
                mounting.unmount(directory)
            except Busy:
                mounting.detach(directory)
            mounting.await_end(worker, _SEAL_S)


def status() -> list[dict[str, Any]]:
    """Say what is monitored on this machine now, one entry per mount, without touching any of them."""
    return [_status(point) for point in mounting.mounts()]


def _status(point: mounting.MountPoint) -> dict[str, Any]:
    worker = mounting.worker_of(point.root)
    entry: dict[str, Any] = {"root": str(point.root), "worker": None, "session": None, "notes": []}
    if worker is None:
        return {**entry, **_without_worker(point.root)}
    facts = mounting.session_facts(worker.folder)
    capture = (facts.get("options") or {}).get("capture", "?")
    counters, state = _counters(worker.folder), _state(worker.pid)
    return {
        **entry, "worker": worker.pid, "session": str(worker.session), "state": state, "capture": capture,
        "parent": facts.get("parent"), "started": facts.get("started"), **counters,
        "notes": _notes(point.root, capture, state, counters),
    }  # fmt: skip


def _without_worker(root: Path) -> dict[str, Any]:
    shown = visible(str(root))
    found: dict[str, dict[str, Any]] = {
        "answers": {"state": "in a thread"},
        "dead": {
            "state": "dead",
            "notes": [f"the worker of {shown} is gone; `fmrw doctor --fix` takes the mount away."],
        },
        "silent": {
            "state": "silent",
            "notes": [f"{shown} does not answer; `fmrw unmount --abort {shown}` frees who waits for it."],
        },
    }
    return found[mounting.probe(root)]


def _notes(root: Path, capture: str, state: str, counters: Mapping[str, int]) -> list[str]:
    shown = visible(str(root))
    notes = [_MAPPING_HINT] if capture == "exact" else []
    if state == "stopped":
        notes.append(
            f"the worker of {shown} is stopped, and who reads there waits; `fmrw unmount --abort {shown}` frees them."
        )
    if counters.get("lost"):
        notes.append(
            f"{shown}: {counters['lost']:,} events were lost because the disk of the session is full; make room there."
        )
    return notes


def _state(pid: int) -> str:
    try:
        stopped = psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return "ending"
    return "stopped" if stopped else "monitoring"


def _counters(session: Path) -> dict[str, int]:
    """Give a live session's counters; empty while its journal is not there."""
    try:
        with store.following(session) as follower:
            counters = {name: follower.head.counter(name) for name in ("lost", "faults")}
            return {"events": follower.count(), **counters}
    except SessionError:
        return {}


class _Directory:
    """A directory as it is beneath whatever is mounted over it later."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._fd: int | None = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: bytes) -> int | None:
        """Open a file for reading; None for what is not there or not below."""
        with self._lock:
            if self._fd is None:
                return open_below(str(self._root), path)
            return open_below(descriptor_path(self._fd), path)

    def close(self) -> None:
        """Let the directory go: nothing is mounted over it any more."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            self._fd = None
