"""Holders: who keeps a mount busy, from `/proc` alone. The file system itself, whose worker may be stopped, is not asked."""

from __future__ import annotations

import os
from typing import NamedTuple


class Holder(NamedTuple):
    """A process that keeps a mount busy; unless `works` there, it only has mapped what lies there, as its own code."""

    pid: int
    ppid: int
    name: str
    works: bool


def holders(mount: int, minor: int) -> list[Holder]:
    """Find who keeps a mount busy: everybody with an open file, a mapping or a directory there.

    A path tells little: who stood in the directory before it was mounted works beneath the mount under the same one.

    Parameters
    ----------
    mount : int
        The mount's id as in `/proc/self/mountinfo`.
    minor : int
        The minor number of its device, by which mappings are told apart; the major one is 0 for FUSE.
    """
    import psutil  # noqa: PLC0415 - a mount that nobody holds does without

    found = []
    for process in psutil.process_iter(["name", "ppid"]):
        pid = process.pid
        works = mount in _open_mounts(pid) or mount in _places(pid, "cwd", "root")
        if works or mount in _places(pid, "exe") or _maps(pid, f"00:{minor:02x}"):
            found.append(Holder(pid, process.info["ppid"] or 0, str(process.info["name"] or "?"), works))
    return found


def _open_mounts(pid: int | str) -> set[int]:
    """Give the mount ids of all descriptors of a process."""
    try:
        names = os.listdir(f"/proc/{pid}/fdinfo")  # noqa: PTH208 - many small reads
        return {_mount_of(pid, name) for name in names}
    except OSError:
        return set()  # gone meanwhile, or not ours to look at


def _mount_of(pid: int | str, fd: int | str) -> int:
    """Give the mount id of a descriptor; 0 for one that is closed meanwhile."""
    try:
        with open(f"/proc/{pid}/fdinfo/{fd}", "rb") as info:  # noqa: PTH123 - many small reads
            return next((int(line[7:]) for line in info if line.startswith(b"mnt_id:")), 0)
    except OSError:
        return 0


def _places(pid: int, *links: str) -> set[int]:
    """Give the mount ids of what a process's links lead to; a descriptor for the path alone asks the file system nothing."""
    found = set()
    for name in links:
        try:
            fd = os.open(f"/proc/{pid}/{name}", os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        found.add(_mount_of("self", fd))
        os.close(fd)
    return found


def _maps(pid: int, device: str) -> bool:
    """Tell whether a process maps a file of a device."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123 - as above
            return any(line.split(maxsplit=4)[3] == device for line in maps)
    except OSError:
        return False
