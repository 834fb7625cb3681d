"""Preflight: whether a directory may be monitored, and a lock so that nobody else begins meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.capture.mounts.registry import mounts, session_facts, types_over, worker_of
from fmrw.capture.mounts.unmount import heal, require_fusermount
from fmrw.errors import AlreadyMounted, FuseMissing, MountError
from fmrw.text import typed, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_S = 10  # as long as another may take to mount
_LOCK_S = 0.05
_KERNELS = frozenset({
    "autofs", "bdev", "binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore", "resctrl", "rpc_pipefs", "securityfs", "selinuxfs",
    "smackfs", "sysfs", "tracefs",
})  # fmt: skip
"""Types of file systems in which there are no files, only what the kernel says."""
_THROUGHOUT = frozenset({"proc", "sysfs"})
"""Those of them in which nothing of a user's is ever mounted."""
_DEVICES = Path("/dev")  # a tmpfs in containers


def check_machine() -> None:
    """Raise FuseMissing where a part of FUSE is not there, with the command that brings it."""
    if not Path("/dev/fuse").exists():
        raise FuseMissing(
            "/dev/fuse is missing: FUSE is not in this kernel or container; try `modprobe fuse`, or start the container with `--device /dev/fuse --cap-add SYS_ADMIN`."
        )
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise FuseMissing(
            "/dev/fuse is not yours to open; try `sudo chmod 666 /dev/fuse`, or join the group that owns it."
        )
    require_fusermount()


def check_directory(root: Path) -> None:
    """Raise a MountError where a directory cannot be monitored; a dead mount on it is taken away first."""
    _check_needed(root)
    heal(root)
    for point in mounts():
        if point.root == root:
            raise AlreadyMounted(
                f"{_shown(root)} is already monitored{_by(root)}; `fmrw unmount {typed(root)}` ends that."
            )
        if point.root in root.parents:
            raise AlreadyMounted(
                f"{_shown(root)} lies inside {_shown(point.root)}, which is monitored already; use that mount, or `fmrw unmount {typed(point.root)}` first."
            )
        if root in point.root.parents:
            raise AlreadyMounted(
                f"{_shown(root)} contains {_shown(point.root)}, which is monitored already; `fmrw unmount {typed(point.root)}` first."
            )
    if not root.exists():
        raise MountError(f"{_shown(root)}: no such directory; check the name.")
    if not root.is_dir():
        above = (
            f"its directory {_shown(root.parent)}"
            if root.parent != Path("/")
            else "a directory with a copy of it"
        )
        raise MountError(f"{_shown(root)} is a file; monitor {above} instead.")
    if not os.access(root, os.R_OK | os.X_OK) or (os.geteuid() and not os.access(root, os.W_OK)):
        raise MountError(
            f"{_shown(root)}: FUSE lets you mount only over a directory you may write; `sudo fmrw …`, or monitor a copy of your own."
        )


def _check_needed(root: Path) -> None:
    """Refuse what every program of the machine needs, ourselves included, and what only looks like files."""
    if root == root.parent:
        raise MountError(
            f"{_shown(root)} holds all there is, and a mount over it would cover it for every program; monitor a directory in it instead."
        )
    over = types_over(root)
    point, kind = over[-1] if over else (root, "")
    if kind in _KERNELS or point == _DEVICES or any(each in _THROUGHOUT for _point, each in over):
        raise MountError(
            f"{_shown(root)} holds no files but what the kernel shows there ({visible(kind)}), and every program needs that; monitor another directory."
        )


@contextlib.contextmanager
def claimed(root: Path) -> Iterator[None]:
    """Check a directory, and keep others from mounting it until it is mounted: two at once would lie over one another.

    Raises
    ------
    MountError
        See `check_directory`.
    """
    check_directory(root)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(fd)
        check_directory(root)
        yield
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    """Take the lock of a directory; a stranger who holds it for other reasons keeps us only as long as a start may take."""
    pause, tries = threading.Event(), int(_START_S / _LOCK_S)
    for _ in range(tries):
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause.wait(_LOCK_S)
        except OSError:  # a file system without locks
            return None
    return None


def _by(root: Path) -> str:
    """Say who monitors a directory, where that can be found out."""
    worker = worker_of(root)
    if worker is None:
        return ""
    facts = session_facts(worker.folder)
    return (
        f" by process {facts.get('parent', worker.ppid)} ({visible(str(facts.get('parent_name', 'fmrw')))})"
    )


def _shown(path: Path) -> str:
    return visible(str(path))
