"""Own code: the Python that runs fmrw, where it lies below the directory that is monitored.

Whoever serves a mount must not wait for it. An import reads files, which lets the other threads answer, but loading a library
holds the interpreter's lock until the kernel has its pages: the answer would need that lock. What a worker has loaded
before it mounts refers to what lies beneath; what comes later it finds beneath too (`look_beneath`), and so do its helpers.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.capture.system.proc import descriptor_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES = ("site-packages", "dist-packages")


def code_below(root: str) -> list[str]:
    """Find the folders of this Python that lie in a directory.

    Its installation, its virtual environment and its packages count. An entry of `sys.path` that is a project's own folder does not: there lies
    also what somebody wants to watch.

    Parameters
    ----------
    root : str
        Absolute and real.

    Returns
    -------
    list of str
        Relative to the directory, `""` for itself; none lies in another.
    """
    outer = root.rstrip("/") + "/"
    found = {
        f"{folder}/"[len(outer) :].rstrip("/") for folder in _folders() if f"{folder}/".startswith(outer)
    }
    return sorted(each for each in found if not any(_within(each, other) for other in found - {each}))


def _within(inner: str, outer: str) -> bool:
    return not outer or inner.startswith(outer + "/")


def _folders() -> Iterator[str]:
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    packages = {entry for entry in sys.path if entry.endswith(_PACKAGES)}
    for folder in prefixes | libraries | packages | {str(Path(__file__).parents[1])}:
        yield os.path.realpath(folder)


def look_beneath(root: str, fd: int) -> None:
    """Let this process import from beneath a directory from now on, whatever is mounted over it.

    Parameters
    ----------
    root : str
        Absolute and real.
    fd : int
        The directory, opened before it is covered; it stays open as long as this process runs.
    """
    sys.path[:] = _beneath(sys.path, root, fd)
    for module in list(sys.modules.values()):
        path = getattr(module, "__path__", None)
        if path is not None:
            module.__path__ = _beneath(path, root, fd)


def _beneath(path: list[str], root: str, fd: int) -> list[str]:
    outer, through = root.rstrip("/") + "/", descriptor_of(os.getpid(), fd) + "/"
    found = []
    for entry in path:
        real = os.path.realpath(entry) + "/"
        found.append(through + real[len(outer) :].rstrip("/") if real.startswith(outer) else entry)
    return found
