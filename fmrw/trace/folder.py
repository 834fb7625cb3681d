"""Session folder: made empty, found sealed or not, removed where it was temporary. Nothing here needs a frame, so nothing imports polars.

A temporary session is removed by its owner, or by the worker whose owner is gone. Where both were killed, `sweep` finds it: whoever
records holds a lock on the folder, and the lock of a dead process is free.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmrw.errors import SessionError, SessionExists
from fmrw.text import unwritten, visible
from fmrw.trace.facts import FACTS, now, read_facts, write_facts
from fmrw.trace.version import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS = "events.parquet"
PROCESSES = "processes.parquet"
RANGES = "ranges.parquet"
SITES = "sites.parquet"
EFFECTS = "effects.parquet"
ANNOTATIONS = "annotations.json"
LOG = "worker.log"
JOURNAL = "journal"
PROBE = "probe.json"
FILES = frozenset({FACTS, EVENTS, PROCESSES, RANGES, SITES, EFFECTS, ANNOTATIONS, LOG})
"""Files of a session, beside its journal; a probe leaves `PROBE` there as well."""

TEMPORARY = "fmrw-"
"""How names of temporary sessions begin, in the system's folder for temporary files."""


def create(folder: Path, facts: Mapping[str, Any]) -> None:
    """Make an empty session.

    Raises
    ------
    SessionExists
        The folder holds something already; nothing is overwritten.
    SessionError
        It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise SessionError(f"{unwritten(folder, error)}; choose a folder you may write.") from error
    if occupied:
        raise SessionExists(
            f"{_shown(folder)} is not empty, and a session is never overwritten; choose another folder, such as {_shown(_free_name(folder))}."
        )
    host = {"host": socket.gethostname(), "kernel": platform.release(), "python": platform.python_version()}
    try:
        folder.chmod(0o700)
        write_facts(folder, {"schema": SCHEMA, "started": now(), **host, **facts})
    except OSError as error:
        raise SessionError(
            f"{_shown(folder)}: {error.strerror}; make room, or choose another folder."
        ) from error


def _free_name(folder: Path) -> Path:
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 10_000))
    return next(name for name in numbered if not name.exists())


def _shown(path: Path) -> str:
    return visible(str(path))


def is_sealed(folder: Path) -> bool:
    """Tell whether a session's events stand in Parquet."""
    return (folder / EVENTS).exists()


def sweep() -> list[Path]:
    """Remove the temporary sessions of this user whose processes were all killed; give their folders."""
    found = abandoned()
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def abandoned() -> list[Path]:
    """Find the temporary sessions of this user whose processes were all killed."""
    return [folder for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*") if _abandoned(folder)]


def _abandoned(folder: Path) -> bool:
    """Tell whether a temporary session was begun and nobody holds its lock."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if os.fstat(fd).st_uid != os.geteuid() or not (folder / JOURNAL).is_dir():
            return False
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return read_facts(folder).get("ephemeral") is True
    except (OSError, SessionError):
        return False
    finally:
        os.close(fd)
