"""Sources: where a trace's events come from: a folder, memory.

A folder that is recorded into at this moment is followed (`Growing`): each question reads on where the last one ended, whoever
records. It goes on when the session is sealed or its folder removed, with all that was read until then.
"""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from fmrw.capture.system.proc import descriptor_path
from fmrw.errors import SessionError
from fmrw.session.beneath import open_below
from fmrw.text import visible
from fmrw.trace import schema, store
from fmrw.trace.follow import Follower
from fmrw.trace.merged import merged
from fmrw.trace.sealed import Part, Sealed
from fmrw.trace.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Source(Protocol):
    """Where a trace's events come from."""

    @property
    def active(self) -> bool:
        """Whether events may still come."""

    @property
    def session(self) -> Path | None:
        """The session's folder, where there is one."""

    @property
    def sealed(self) -> Sealed | Part | None:
        """The sealed session behind it, of which a question need not decode all; None where there is none."""

    def lazy(self) -> pl.LazyFrame:
        """Give all events up to now."""

    def processes(self) -> pl.DataFrame:
        """Give the processes as `schema.PROCESSES`."""

    def sites(self) -> pl.DataFrame:
        """Give the call sites as `schema.SITES`."""

    def facts(self) -> Mapping[str, Any]:
        """Give what `session.json` holds, or will."""

    def open(self, path: bytes) -> int | None:
        """Open a recorded file's content, unmonitored; None when it is not at hand."""


def rows(
    source: Source,
    where: pl.Expr | None = None,
    columns: Sequence[str] | None = None,
    most: int | None = None,
) -> pl.DataFrame:
    """Give the events of a source that fulfil a condition, or the first `most` of them, in any order."""
    if source.sealed is not None:
        return source.sealed.rows(where, columns, most)
    lazy = source.lazy() if where is None else source.lazy().filter(where)
    lazy = lazy if columns is None else lazy.select(columns)
    return (lazy if most is None else lazy.head(most)).collect()


def merged_ranges(source: Source, path: str | None = None) -> pl.DataFrame:
    """Give the merged ranges of one file of a source, or of all, as `fmrw.trace.merged.MERGED`."""
    if source.sealed is not None:
        return source.sealed.merged(path)
    return merged(source.lazy() if path is None else source.lazy().filter(pl.col("path") == path))


def is_recorded(source: Source, path: str) -> bool:
    """Tell whether there is any event of a file."""
    if source.sealed is not None:
        return source.sealed.knows(path)
    return rows(source, pl.col("path") == path, ["path"], most=1).height > 0


class FolderSource:
    """A session on disk, sealed or not."""

    def __init__(self, folder: Path) -> None:
        sealed = store.is_sealed(folder)
        self._facts = store.read_facts(folder)
        self._growing = None if sealed else _growing(folder)
        if self._growing is None and not sealed:  # since; what it says of itself has been completed, too
            self._facts = store.read_facts(folder)
        self.session = folder if self._growing is None else self._growing.folder
        self.sealed = None if self._growing is not None else Sealed(folder, self._facts)
        self.facts()  # what nobody records into any more is read once, and lets its descriptors go

    @property
    def active(self) -> bool:
        """Whether somebody records into it."""
        return self._growing is not None and self._growing.active

    def lazy(self) -> pl.LazyFrame:
        """Scan the session's events."""
        return store.scan(self.session) if self._growing is None else self._growing.lazy()

    def processes(self) -> pl.DataFrame:
        """Read the session's processes."""
        return store.processes(self.session) if self._growing is None else self._growing.processes()

    def sites(self) -> pl.DataFrame:
        """Read the session's call sites."""
        return store.sites(self.session) if self._growing is None else self._growing.sites()

    def facts(self) -> Mapping[str, Any]:
        """Give `session.json`, or what it will be."""
        return self._facts if self._growing is None else {**self._facts, **self._growing.facts()}

    def open(self, path: bytes) -> int | None:
        """Open the file below the recorded root, if it is there."""
        return open_below(str(self._facts.get("root") or ""), path)


class Growing:
    """A session that is not sealed yet, read on from where it was left.

    Raises
    ------
    SessionError
        The folder is no session, or has no journal.
    """

    def __init__(self, folder: Path) -> None:
        fds = [_directory(folder)]
        self._end = weakref.finalize(self, _close, fds)
        self._fd = fds[0]
        self.folder = self._path.readlink()
        fds.append(_directory(self._path / store.JOURNAL, folder))
        self._follower: Follower | None = Follower(fds[1])
        self._closing = weakref.finalize(self, self._follower.close)
        self._events = Spool()
        self._processes = pl.DataFrame(schema=schema.PROCESSES)
        self._sites = schema.SITES.to_frame()
        self._counts: dict[str, Any] = {}
        self._lock = threading.RLock()

    @property
    def active(self) -> bool:
        """Whether somebody records: who does holds a lock on the folder, and the lock of a dead process is free."""
        with self._lock:
            if self._follower is None or store.is_sealed(self._path):
                return False
            fd = _directory(self._path)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:  # no locks here
                return False
            finally:
                os.close(fd)
            return False

    @property
    def _path(self) -> Path:
        """The folder, whatever is mounted over its name, and whoever removed that."""
        return Path(descriptor_path(self._fd))

    def lazy(self) -> pl.LazyFrame:
        """Give all events up to now."""
        with self._lock:
            self._read()
            return self._events.lazy()

    def processes(self) -> pl.DataFrame:
        """Give the processes up to now."""
        with self._lock:
            self._read()
            if self._follower is not None:
                self._follower.names.refresh()
                self._processes = self._follower.names.processes_frame()
            return self._processes

    def sites(self) -> pl.DataFrame:
        """Give the call sites up to now."""
        with self._lock:
            self._read()
            if self._follower is not None:
                self._follower.names.refresh()
                self._sites = self._follower.names.sites_frame()
            return self._sites

    def facts(self) -> dict[str, Any]:
        """Give what the journal says of itself, and what `session.json` has said since."""
        with self._lock:
            self._read()
            if self._follower is not None:
                self._counts = store.counts(self._follower)
            return self._counts

    def _read(self) -> None:
        """Take in what is new; once nobody records any more, all that is left."""
        follower, active = self._follower, self.active
        if follower is None:
            return
        self._events.extend(follower.batches())
        if not active:
            self._events.extend(follower.flush())
            self._finish(follower)

    def _finish(self, follower: Follower) -> None:
        follower.names.refresh()
        self._processes, self._counts = follower.names.processes_frame(), store.counts(follower)
        self._sites = follower.names.sites_frame()
        self._follower = None
        if store.is_sealed(self._path):
            self._sealed()
        self._closing()
        self._end()

    def _sealed(self) -> None:
        """Take from the sealed session what its journal was removed too early for."""
        known = self._events.lazy().select("seq")
        rest = store.scan(self._path).join(known, on="seq", how="anti").collect()
        self._events.extend([rest.sort("seq")])
        self._processes, self._counts = store.processes(self._path), store.read_facts(self._path)
        self._sites = store.sites(self._path)


def _growing(folder: Path) -> Growing | None:
    """Open a session that is not sealed; None if it is by now, so that its journal is gone."""
    try:
        return Growing(folder)
    except SessionError:
        if store.is_sealed(folder):
            return None
        raise


def _directory(path: Path, shown: Path | None = None) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        name = visible(str(shown or path))
        raise SessionError(
            f"{name}: {path.name}: {error.strerror}; give a folder that fmrw recorded into."
        ) from error


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


class FrameSource:
    """Events that are in memory already."""

    active = False
    session = None
    sealed = None

    def __init__(self, events: pl.DataFrame, processes: pl.DataFrame, facts: Mapping[str, Any]) -> None:
        self._events = events
        self._processes = processes
        self._facts = facts

    def lazy(self) -> pl.LazyFrame:
        """Give the events."""
        return self._events.lazy()

    def processes(self) -> pl.DataFrame:
        """Give the processes."""
        return self._processes

    def sites(self) -> pl.DataFrame:
        """Give no call sites: files of other tools have none."""
        return schema.SITES.to_frame()

    def facts(self) -> Mapping[str, Any]:
        """Give what is known of the recording."""
        return self._facts

    def open(self, path: bytes) -> int | None:
        """Open the file below the recorded root, if there is one, or by the absolute path that a log of strace has."""
        if self._facts.get("absolute") and path.startswith(b"/"):
            return open_below("/", path[1:])
        return open_below(str(self._facts.get("root") or ""), path)
