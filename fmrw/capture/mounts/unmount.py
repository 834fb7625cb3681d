"""Unmount: taking mounts away, and what to do when that goes wrong. `fusermount` is known here only.

`unmount` takes a mount away without hurting anybody: a busy one is refused with the names of who holds it, `force` detaches
it lazily (files that are open go on working), `abort` breaks the connection for a worker that does not answer.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.capture.mounts.holders import Holder, holders
from fmrw.capture.mounts.registry import mounted_at, mounts, probe, worker_of
from fmrw.errors import Busy, FuseMissing, MountError, NotMounted
from fmrw.text import typed, visible

if TYPE_CHECKING:
    from fmrw.capture.mounts.registry import MountPoint

_ABORT_S = 10
_LOOK_S = 1
_AGAIN_S = 0.05
_CONNECTIONS = Path("/sys/fs/fuse/connections")


def find_fusermount() -> str | None:
    """Find the program that mounts and unmounts for users."""
    return shutil.which("fusermount3") or shutil.which("fusermount")


def require_fusermount() -> str:
    """Give that program; raise FuseMissing, with the command that brings it, where it is missing."""
    program = find_fusermount()
    if program is None:
        raise FuseMissing("fusermount is missing; try `sudo apt-get install fuse3`.")
    return program


def _fusermount_u(root: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    program = require_fusermount()
    return subprocess.run(
        [program, "-u", *flags, "--", root], capture_output=True, text=True, errors="replace", check=False
    )


def unmount(root: Path, *, force: bool = False, abort: bool = False) -> bool:
    """Take an fmrw mount away.

    Parameters
    ----------
    root : Path
        Absolute and real.
    force : bool
        Detach a busy mount: it is gone for everybody who looks from now on, open files go on until closed.
    abort : bool
        Break the connection first: everybody who waits for a worker that does not answer gets an error.

    Returns
    -------
    bool
        Whether the worker can end now. It goes on for those who hold what was detached; this process itself does when it has loaded
        libraries through the mount.

    Raises
    ------
    NotMounted, Busy
    """
    if not force and not abort and heal(root):
        return True
    point = mounted_at(root)
    if point is None:
        known = ", ".join(_shown(other.root) for other in mounts()) or "nothing"
        raise NotMounted(f"{_shown(root)} is not monitored; monitored now: {known}.")
    if abort:
        break_connection(point)
        detach(root)
        return True
    if force:
        detach(root)
        return False
    return _unmount_idle(point)


def _unmount_idle(point: MountPoint) -> bool:
    """Take a mount away that nobody holds; who only looks at it in passing makes it busy for a moment."""
    shown, pause, found = _shown(point.root), threading.Event(), list[Holder]()
    for _ in range(round(_LOOK_S / _AGAIN_S)):
        done = _fusermount_u(point.root)
        if done.returncode == 0 or point not in mounts():  # somebody else was faster
            return True
        if "busy" not in done.stderr:
            raise MountError(
                f"{shown}: {visible(done.stderr.strip())}; `fmrw unmount --force {typed(point.root)}` detaches it."
            )
        found = _strangers(point)
        if found and all(each.pid == os.getpid() and not each.works for each in found):
            detach(point.root)
            return False
        if found:
            break
        pause.wait(_AGAIN_S)
    users = (
        ", ".join(f"{visible(each.name)} ({each.pid})" for each in found)
        or "a process that cannot be looked at"
    )
    raise Busy(
        f"{shown} is in use by {users}; end that, or `fmrw unmount --force {typed(point.root)}` (open files go on working)."
    )


def _strangers(point: MountPoint) -> list[Holder]:
    """Give who holds a mount, after the helper of its worker, which may have come from there itself, was ended; another starts at need."""
    found = holders(point.id, point.minor)
    worker = worker_of(point.root) if found else None
    helpers = [each for each in found if worker is not None and each.ppid == worker.pid]
    for helper in helpers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(helper.pid, signal.SIGKILL)
            await_end(helper.pid, _ABORT_S)
    return [each for each in found if each not in helpers]


def detach(root: Path) -> None:
    """Detach a mount lazily; nothing happens when it is gone already."""
    if mounted_at(root) is None:
        return
    done = _fusermount_u(root, "-z")
    if done.returncode and mounted_at(root) is not None:
        raise MountError(
            f"{_shown(root)}: {visible(done.stderr.strip())}; `sudo fmrw unmount --force {typed(root)}`."
        )


def break_connection(point: MountPoint) -> None:
    """Abort a FUSE connection through its control file (Documentation/filesystems/fuse in the kernel's tree)."""
    control = _CONNECTIONS / str(point.minor) / "abort"
    ours = not control.exists() and os.geteuid() == 0
    if ours:
        subprocess.run(["mount", "-t", "fusectl", "fusectl", _CONNECTIONS], capture_output=True, check=False)
    try:
        control.write_text("1")
    except OSError as error:
        raise MountError(
            f"{_shown(point.root)}: cannot abort its connection ({error.strerror}); `sudo fmrw unmount --abort {typed(point.root)}`."
        ) from error
    finally:
        if ours:
            subprocess.run(["umount", _CONNECTIONS], capture_output=True, check=False)


def wake(pid: int) -> None:
    """Let a worker go on that was stopped, since a stopped one can neither answer nor end."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGCONT)


def end(pid: int) -> None:
    """Wait for a worker whose connection is broken; one that does not end by itself is killed."""
    wake(pid)
    if not await_end(pid, _ABORT_S):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        await_end(pid, _ABORT_S)


def end_guards(root: Path) -> None:
    """End the helpers by which libfuse's `auto_unmount` watches over a mount that is gone; they would stay as long as we."""
    import psutil  # noqa: PLC0415 - for threads that serve; a run does without

    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.name().startswith("fusermount") and child.cmdline()[-1:] == [str(root)]:
                child.kill()
                child.wait()


def heal(root: Path) -> bool:
    """Take a mount away whose worker is gone; tell whether there was one."""
    if mounted_at(root) is None or probe(root) != "dead":
        return False
    try:
        detach(root)
    except MountError:  # somebody else's
        return False
    return True


def require_answer(path: Path) -> None:
    """Raise where a path lies in a mount of ours that does not answer: whoever looks at it would wait, beyond SIGKILL.

    Parameters
    ----------
    path : Path
        As `resolved` gives it.

    Raises
    ------
    MountError
    """
    for point in mounts():
        if point.root == path or point.root in path.parents:
            state = probe(point.root)
            shown = _shown(point.root)
            if state == "silent":
                raise MountError(
                    f"{_shown(path)}: the worker that monitors {shown} does not answer; `fmrw unmount --abort {typed(point.root)}` frees who waits."
                )
            if state == "dead":
                raise MountError(
                    f"{_shown(path)}: the worker that monitored {shown} is gone; `fmrw doctor --fix` takes the mount away."
                )


def readable(fd: int, timeout_s: float | None) -> bool:
    """Wait until a descriptor, however high its number, has something to read; tell whether it has."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def await_end(pid: int, timeout_s: float | None) -> bool:
    """Wait until a process that need not be a child has ended; tell whether it has."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return readable(fd, timeout_s)
    finally:
        os.close(fd)


def _shown(path: Path) -> str:
    return visible(str(path))
