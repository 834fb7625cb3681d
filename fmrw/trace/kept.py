"""Kept sessions: the folders below `~/.local/state/fmrw` (or `$XDG_STATE_HOME/fmrw`), into which a recording without a folder of its own goes.

What a notebook records is kept there without being asked for, so it is bounded in number and in bytes (`prune`): the oldest go first. A session is removed
only if it is ours beyond doubt: a folder, no link, of this user, straight below the state folder, with a session's facts and nothing but
a session's files; made by a notebook; not named by hand (`rename`); and not in use: who records holds a lock on it, and so does a trace that was loaded from it (one
that was recorded here has all in memory). Files
are removed one by one by their known names, the folder only when it is empty then. So nothing of somebody else's can go.

Nothing here needs a frame, so nothing imports polars.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import stat
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fmrw.errors import SessionError
from fmrw.text import path_bytes, visible
from fmrw.trace.facts import read_facts, write_facts
from fmrw.trace.folder import FILES, JOURNAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

MOST_SESSIONS = 100
MOST_BYTES = 1 << 30
"""What the sessions of notebooks may take; the one that is begun comes on top."""

_NAME_MAX = 255  # bytes a name may have
_LONGEST_NAME = 200  # bytes of a directory's name, which with the time makes a name that file systems take

BOUNDED = "bounded"
"""The fact that says that a session may be removed when there are too many."""


class Kept(NamedTuple):
    """A kept session.

    Attributes
    ----------
    name, folder : str, Path
        Its folder, and the name of that, which is what commands take.
    facts : mapping
        Its `session.json`.
    size : int
        Bytes of its files.
    in_use : bool
        Whether somebody records into it, or has it loaded.
    """

    name: str
    folder: Path
    facts: Mapping[str, Any]
    size: int
    in_use: bool


def state_folder() -> Path:
    """Give the folder of kept sessions, whether it is there or not."""
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "fmrw"


def fresh(root: Path) -> Path:
    """Give a new folder name for a recording of a directory: NAME-TIME in the state folder, which `named` finds whatever NAME is."""
    name = os.fsdecode(os.fsencode(root.name.lstrip(".-"))[:_LONGEST_NAME]) or "root"
    stem = f"{name}-{dt.datetime.now().astimezone():%Y%m%dT%H%M%S}"
    names = (state_folder() / (stem if not number else f"{stem}-{number}") for number in range(10_000))
    return next(name for name in names if not name.exists())


def named(name: str) -> Path | None:
    """Give the folder of the kept session of a name, or of what `path_text` made of one; None if there is none, or it is no plain name."""
    for each in (name, os.fsdecode(path_bytes(name))):
        if (
            not each
            or each.startswith(".")
            or "/" in each
            or "\0" in each
            or len(os.fsencode(each)) > _NAME_MAX
        ):
            continue
        if ((folder := state_folder() / each) / "session.json").is_file():
            return folder
    return None


def sessions() -> list[Kept]:
    """Give the kept sessions of this user, the newest first; what is none is passed over."""
    found = [kept for folder in _folders() if (kept := _kept(folder)) is not None]
    return sorted(found, key=lambda kept: (str(kept.facts.get("started", "")), kept.name), reverse=True)


def _folders() -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from state_folder().iterdir()


def _kept(folder: Path) -> Kept | None:
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return None
        facts = read_facts(folder)
        size = sum(Path(at, name).lstat().st_size for at, _, names in os.walk(folder) for name in names)
    except (OSError, SessionError):
        return None
    return Kept(folder.name, folder, facts, size, _locked(folder))


def _locked(folder: Path) -> bool:
    with _alone(folder) as fd:
        return fd is None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[int | None]:
    """Open a folder that nobody uses, locked for us alone; None if somebody does."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield None
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield fd
    finally:
        os.close(fd)


def use(folder: Path, user: object) -> None:
    """Hold a kept session as long as an object lives, so that it is not removed under it; other folders are nobody's to remove."""
    if folder.parent != state_folder():
        return
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        weakref.finalize(user, os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)


def rename(name: str, new: str) -> Path:
    """Give a kept session a name of one's own; it is then kept until it is removed by name.

    Raises
    ------
    SessionError
        There is no such session, it is being recorded into, or the new name is taken or none.
    """
    folder = _required(name)
    target = state_folder() / new
    if not new or new.startswith(".") or "/" in new or "\0" in new or len(os.fsencode(new)) > _NAME_MAX:
        raise SessionError(
            f"{visible(new)} is no name of a session; take one without / that does not begin with a dot."
        )
    if os.path.lexists(target):
        raise SessionError(f"{visible(new)} is taken; choose another name.")
    with _alone(folder) as fd:
        if fd is None:
            raise SessionError(
                f"{visible(name)} is in use; unmount its directory, or end what has it loaded, first."
            )
        write_facts(folder, {**read_facts(folder), BOUNDED: False})
        folder.rename(target)
    return target


def remove(name: str) -> Path:
    """Remove a kept session.

    Raises
    ------
    SessionError
        There is no such session, it is in use, or its folder holds files that are not a session's.
    """
    folder = _required(name)
    reason = _removed(folder)
    if reason:
        raise SessionError(f"{visible(name)} {reason}")
    return folder


def prune(most: int = MOST_SESSIONS, most_bytes: int = MOST_BYTES) -> list[Path]:
    """Remove the oldest sessions of notebooks until no more than so many, of so many bytes together, are left; give their folders.

    Sessions that were named, or recorded in a shell, or are in use, or hold other files, stay and do not count.
    """
    removed, number, size = [], 0, 0
    for kept in sessions():
        if kept.facts.get(BOUNDED) is not True or kept.in_use:
            continue
        number, size = number + 1, size + kept.size
        if (number > most or size > most_bytes) and not _removed(kept.folder):
            removed.append(kept.folder)
    return removed


def _required(name: str) -> Path:
    folder = named(name)
    if folder is None:
        raise SessionError(f"{visible(name)} is no kept session; `fmrw sessions` lists them.")
    return folder


def _removed(folder: Path) -> str:
    """Remove a session; say why not, if not."""
    if folder.is_symlink():
        return "is a link; remove it yourself."
    with _alone(folder) as fd:
        if fd is None:
            return "is in use; unmount its directory, or end what has it loaded, first."
        if os.fstat(fd).st_uid != os.geteuid():
            return "belongs to somebody else; ask them."
        strange = _strange(fd)
        if strange:
            return f"holds {visible(strange)}, which is no file of a session; move it away first."
        _clear(fd)
        folder.rmdir()
    return ""


def _strange(fd: int) -> str:
    """Name a file in a session's folder that is none of a session."""
    for entry in _entries(fd):
        if entry.name == JOURNAL and entry.is_dir(follow_symlinks=False):
            continue
        if entry.name not in FILES or not entry.is_file(follow_symlinks=False):
            return entry.name
    return ""


def _entries(fd: int) -> list[os.DirEntry[str]]:
    with os.scandir(fd) as entries:
        return list(entries)


def _clear(fd: int) -> None:
    for entry in _entries(fd):
        if entry.name != JOURNAL:
            os.unlink(entry.name, dir_fd=fd)
            continue
        inner = os.open(JOURNAL, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=fd)
        try:
            for part in _entries(inner):
                os.unlink(part.name, dir_fd=inner)
        finally:
            os.close(inner)
        os.rmdir(JOURNAL, dir_fd=fd)
