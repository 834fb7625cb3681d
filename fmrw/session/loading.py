"""Loading: `load` finds out what recording it was given, and makes a trace of it."""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.errors import SessionError
from fmrw.formats.csv.log import read_csv
from fmrw.formats.strace.log import read_log
from fmrw.session.sets import SetSource
from fmrw.session.sources import FolderSource, FrameSource
from fmrw.session.trace import Trace
from fmrw.text import visible
from fmrw.trace import kept, schema, store
from fmrw.trace.foreign import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def load(recording: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> Trace:
    """Open a recording.

    Parameters
    ----------
    recording
        A session folder, sealed or not, or the name of one that was kept (`fmrw.sessions`); a directory that is monitored now; a pattern such as `runs/*`, or a folder of
        sessions, loaded as one lazily scanned set with the columns `session` and `host` added; a CSV of ours or of
        the ancestor's; an `events.parquet`; a log of `strace -f -y -o log`. `RECORDING:PROCESS` is one process of any of them.
    root
        For a strace log: keep the files below this directory only, with paths relative to it.

    Raises
    ------
    SessionError, BadInput
        It is nothing that can be read.
    UnknownPath
        It has no such process.
    """
    name = os.fspath(recording)
    if "\0" in name:
        raise SessionError(
            f"{visible(name)} is no name of a file: it holds a NUL; give a folder that fmrw recorded into."
        )
    path, place = Path(name), registry.resolved(name)
    live = registry.session_of(place)
    if live is not None:  # before anything looks at the mount, whose worker may be stopped
        return Trace(FolderSource(live))
    unmounting.require_answer(place)
    if not _exists(path) and (folder := kept.named(name)) is not None:
        return _folder(folder)
    if not _exists(path) and (found := _one_process(name, root)) is not None:
        return found
    if not _exists(path) and glob.has_magic(name):
        return _set([Path(found) for found in sorted(glob.glob(name))], name)  # noqa: PTH207 - a user's pattern
    if not _exists(path):
        raise SessionError(
            f"{visible(name)}: nothing there; give a folder that fmrw recorded into, or the name of one that it kept: `fmrw sessions` lists them."
        )
    if path.is_dir():
        return _folder(path)
    return Trace(_file(path, root))


def splits(name: str) -> Iterator[tuple[str, str]]:
    """Give every way to read a name as RECORDING and PROCESS, the longest recording first; either may hold colons."""
    for place in range(len(name) - 2, 0, -1):
        if name[place] == ":":
            yield name[:place], name[place + 1 :]


def _one_process(name: str, root: str | os.PathLike[str] | None) -> Trace | None:
    """Open `RECORDING:PROCESS`; None where the name is nothing like that."""
    for place, process in splits(name):
        monitored = registry.session_of(registry.resolved(place)) is not None
        if monitored or _exists(Path(place)) or kept.named(place) or glob.glob(place):  # noqa: PTH207 - a user's pattern
            return load(place, root=root).only(process)
    return None


def _exists(path: Path) -> bool:
    """Tell whether there is anything of a name, which may be longer than names of files can be: a process, or a pattern, is part of it.

    Raises
    ------
    SessionError
        That cannot be told.
    """
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise SessionError(
            f"{visible(str(path))}: {error.strerror}; give a recording that you may read."
        ) from error


def _folder(path: Path) -> Trace:
    inside = (
        []
        if (path / store.FACTS).exists()
        else [each for each in sorted(path.iterdir()) if (each / store.FACTS).exists()]
    )
    return _set(inside, str(path)) if inside else Trace(_held(path))


def _set(folders: Sequence[Path], name: str) -> Trace:
    sessions = [folder for folder in folders if (folder / store.FACTS).exists()]
    if not sessions:
        raise SessionError(f"{visible(name)} names no session; give folders that fmrw recorded into.")
    return Trace(SetSource({str(folder): _held(folder) for folder in sessions}))


def _held(folder: Path) -> FolderSource:
    """Open a session; one that is kept for us is not removed while it is open."""
    source = FolderSource(folder)
    kept.use(folder, source)
    return source


def _file(path: Path, root: str | os.PathLike[str] | None) -> FrameSource:
    """Read a single file by what it begins with."""
    with opened(path, "a recording") as stream:
        head = stream.read(64)
    facts: dict[str, Any] = {"root": os.fspath(root) if root is not None else None}
    nobody = pl.DataFrame(schema=schema.PROCESSES)
    if head.startswith(b"PAR1"):
        return FrameSource(store.scan_events(path).collect(), nobody, facts)
    if (
        b"Time" in head.partition(b"(")[0] or path.suffix == ".csv"
    ):  # a log of strace has names of files behind a bracket
        return FrameSource(read_csv(path), nobody, facts)
    log = read_log(path, root)
    return FrameSource(log.events, nobody, {**facts, "mapped": log.mapped, "absolute": root is None})
