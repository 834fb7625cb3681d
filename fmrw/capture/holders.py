"""Who keeps a mount busy, from the texts of `/proc` alone: the file system itself, whose worker may be stopped, is asked nothing."""

from __future__ import annotations

import os

import psutil


def holders(mount: int, root: str) -> list[tuple[int, str]]:
    """Find who keeps a mount busy: (process, name) of everybody with an open file, a mapping or a directory there.

    Parameters
    ----------
    mount : int
        The mount's id as in `/proc/self/mountinfo`.
    root : str
        Where it is mounted.
    """
    return [
        (process.pid, str(process.info["name"] or "?"))
        for process in psutil.process_iter(["name"])
        if mount in _open_mounts(process.pid) or _dwells(process.pid, root)
    ]


def _open_mounts(pid: int) -> set[int]:
    """Give the mount ids of all descriptors of a process."""
    found: set[int] = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fdinfo"):  # noqa: PTH208 - many small reads
            with open(f"/proc/{pid}/fdinfo/{name}", "rb") as info:  # noqa: PTH123 - the same
                found.update(int(line[7:]) for line in info if line.startswith(b"mnt_id:"))
    except OSError:
        pass  # gone meanwhile, or not ours to look at
    return found


def _dwells(pid: int, root: str) -> bool:
    """Tell whether a process works, is rooted, runs from or maps a file at or below a path."""
    try:
        links = [os.readlink(f"/proc/{pid}/{name}") for name in ("cwd", "root", "exe")]  # noqa: PTH115
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
            links += [fields[5].rstrip("\n") for line in maps if len(fields := line.split(maxsplit=5)) > 5]  # noqa: PLR2004
    except OSError:
        return False
    return any(link == root or link.startswith(root + "/") for link in links)
