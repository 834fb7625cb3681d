"""`run`: a command under a mount that is there for it alone."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmrw.errors import SessionError
from fmrw.recording.children import start_without_io_uring, started
from fmrw.recording.grain import chosen
from fmrw.recording.mount import mount

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from fmrw.recording.children import Start
    from fmrw.recording.mount import ReportMode
    from fmrw.recording.mounted import Mount
    from fmrw.session.trace import Trace

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # exit statuses as a shell gives them


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
    io_uring : str
        How io_uring was kept from it: `withheld`, `withheld, and set-uid programs with it`, `refused`, `not there`, `allowed`.
    """

    status: int
    trace: Trace
    session: Path | None
    io_uring: str = "allowed"


def run(
    command: Sequence[str | os.PathLike[str]],
    directory: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    reports: ReportMode = "aside",
    watch: Callable[[Mount, subprocess.Popen[bytes]], int] | None = None,
    stdout: int | None = None,
    io_uring: bool = False,
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
    reports
        As for `mount`; `aside`, so that the command meets no files that are not there.
    watch
        Called with the mount and the running child, waits for it and gives its status (for a progress display).
    stdout
        `subprocess.PIPE` hands the child's output, errors included, to `watch`; without it the child has ours.
    io_uring
        Let the command use io_uring. Without it, in `exact`, the kernel tells it that there is none: most programs then
        read and write as they do elsewhere, and every call is seen to the byte.
    **options
        As for `mount`; `grain="auto"` chooses by the command's program: 16 for Python, else 1.

    Raises
    ------
    SessionError, MountError
        The directory cannot be monitored.
    """
    if not command:
        raise SessionError("no command; write it after `--`.")
    if isinstance(command, str | bytes):
        raise SessionError("the command is a line of text; give a list, as `shlex.split` makes one of it.")
    options["grain"] = chosen(options.get("grain", 0), command)
    mounted = mount(directory, reports=reports, output=output, command=command, **options)
    with ending(mounted):
        start = start_without_io_uring if mounted.settings.capture == "exact" and not io_uring else started
        found = _spawn(command, mounted, watch or (lambda _mount, child: child.wait()), stdout, start)
    return Run(found[0], mounted.trace, mounted.session, found[1])


@contextlib.contextmanager
def ending(mounted: Mount) -> Iterator[None]:
    """End a mount with a block, also when the end is interrupted; a busy mount is detached."""
    try:
        yield
    finally:
        with _interrupts_wait():
            mounted.__exit__(None, None, None)


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Let an interrupt wait until a block has ended; other threads than the main one get none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = signal.signal(signal.SIGINT, keep)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _spawn(
    command: Sequence[str | os.PathLike[str]],
    mounted: Mount,
    watch: Callable[[Mount, subprocess.Popen[bytes]], int],
    stdout: int | None,
    start: Start,
) -> tuple[int, str]:
    """Start a child whose working directory is looked up on the mount; give its status as a shell does, and what `start` says."""
    stderr = None if stdout is None else subprocess.STDOUT
    child = None
    try:
        with _interrupts_wait():  # or a child of which nobody knows yet would go on without us
            child, said = start(command, cwd=Path.cwd(), stdout=stdout, stderr=stderr)
        status = watch(mounted, child)
    except BaseException as error:
        if child is not None:
            child.terminate()
            child.wait()
        elif isinstance(error, OSError):
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE, ""
        raise
    return status if status >= 0 else 128 - status, said
