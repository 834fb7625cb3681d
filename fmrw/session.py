"""What the user holds: `Trace`, the recording of one session or many, wherever it comes from.

A `Trace` asks its source for a lazy frame of events each time, so that a live mount, a sealed session of 100 million
events and a CSV file are used alike. `load` finds out what it was given.
"""

from __future__ import annotations

import difflib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from fmrw.analysis import ranges, summary
from fmrw.errors import SessionError, UnknownPath
from fmrw.text import path_bytes, visible
from fmrw.trace import schema, store

if TYPE_CHECKING:
    from collections.abc import Mapping


class Source(Protocol):
    """Where a trace's events come from."""

    def lazy(self) -> pl.LazyFrame:
        """Give all events up to now."""

    def processes(self) -> pl.DataFrame:
        """Give the processes as `schema.PROCESSES`."""

    def facts(self) -> Mapping[str, Any]:
        """Give what `session.json` holds, or will."""

    def open(self, path: bytes) -> int | None:
        """Open a recorded file's content, unmonitored; None when it is not at hand."""


class FolderSource:
    """A session on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._facts = store.facts(folder)

    def lazy(self) -> pl.LazyFrame:
        """Scan the session's events."""
        return store.scan(self.folder)

    def processes(self) -> pl.DataFrame:
        """Read the session's processes."""
        return store.processes(self.folder)

    def facts(self) -> Mapping[str, Any]:
        """Give `session.json`."""
        return self._facts

    def open(self, path: bytes) -> int | None:
        """Open the file below the recorded root, if it is there."""
        return open_below(str(self._facts.get("root") or ""), path)


class FrameSource:
    """Events that are in memory already."""

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

    def facts(self) -> Mapping[str, Any]:
        """Give what is known of the recording."""
        return self._facts

    def open(self, path: bytes) -> int | None:
        """Open the file below the recorded root, if there is one."""
        return open_below(str(self._facts.get("root") or ""), path)


def open_below(root: str, path: bytes) -> int | None:
    """Open a regular file below a directory for reading; None for whatever else is there."""
    if not root or path.startswith(b"/") or b".." in path.split(b"/"):
        return None
    try:
        return os.open(
            os.fsencode(root) + b"/" + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        )
    except OSError:
        return None


class Trace:
    """The recording of a session.

    Parameters
    ----------
    source : Source
        Where the events come from; ask `fmrw.load`, `fmrw.mount` or `fmrw.run` for a trace.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def lazy(self) -> pl.LazyFrame:
        """All events up to now as a lazy frame, for sessions that do not fit in memory."""
        return self._source.lazy()

    @property
    def events(self) -> pl.DataFrame:
        """All events up to now, one row each, in the order of the calls (columns: `fmrw.trace.schema.EVENTS`)."""
        frame = self._source.lazy().collect()
        return frame if frame["seq"].is_sorted() else frame.sort("seq")

    @property
    def processes(self) -> pl.DataFrame:
        """The processes seen: one row for each thread and name it has carried."""
        return self._source.processes()

    @property
    def files(self) -> pl.DataFrame:
        """One row for each file: size, bytes read, share covered, reads, writes, largest gap, processes."""
        return summary.files(self._source.lazy())

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known of the session: root, command, options, host, versions, times, counts."""
        return self._source.facts()

    @cached_property
    def root(self) -> Path | None:
        """The directory that was monitored."""
        root = self.facts.get("root")
        return Path(root) if root else None

    def resolve(self, path: str | os.PathLike[str]) -> str:
        """Give the name under which a file stands in the events.

        Parameters
        ----------
        path
            Relative to the monitored directory, as `Trace.files` shows it, or absolute below it.

        Raises
        ------
        UnknownPath
            Nothing is recorded under that name; the message lists the nearest ones.
        """
        known = self._source.lazy().select(pl.col("path").unique()).collect()["path"].to_list()
        text = os.fspath(path)
        for candidate in (text, self._relative(text)):
            if candidate in known:
                return candidate
        nearest = difflib.get_close_matches(text, known, n=3, cutoff=0.3) or sorted(known)[:3]
        shown = ", ".join(visible(name) for name in nearest) or "nothing"
        raise UnknownPath(f"{visible(text)} is not in this session; recorded near it: {shown}.")

    def _relative(self, text: str) -> str:
        normal = os.path.normpath(text)
        if self.root is not None and os.path.isabs(normal):  # noqa: PTH117 - text, with escapes
            return os.path.relpath(os.path.realpath(normal), self.root)
        return normal

    def of(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the events of one file."""
        name = self.resolve(path)
        return self._source.lazy().filter(pl.col("path") == name).sort("seq").collect()

    def size(self, path: str | os.PathLike[str]) -> int:
        """Give the size of a file after its last event, in bytes."""
        return int(summary.files(self.of(path))["size"][0])

    def coverage(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the ranges of a file that were read: `start`, `end`, sorted, not touching each other."""
        return ranges.merge(_reads(self.of(path)))

    def gaps(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the ranges of a file that were never read: `start`, `end`."""
        return ranges.complement(_reads(self.of(path)), self.size(path))

    def content(self, path: str | os.PathLike[str]) -> int | None:
        """Open the content of a file without adding events; the caller closes the descriptor."""
        return self._source.open(path_bytes(self.resolve(path)))

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the trace as a session folder.

        Raises
        ------
        SessionExists, SessionError
            The folder holds something already, or cannot be written.
        """
        target = Path(folder)
        store.create(target, {})
        store.write_events(
            target / store.EVENTS, iter([schema.empty(), self.events.select(schema.EVENTS.names())])
        )
        store.write_processes(target, self.processes)
        store.write_facts(target, {**store.read_facts(target), **self.facts})
        return target

    def __repr__(self) -> str:
        """Say what was recorded."""
        count, paths = (
            self._source.lazy().select(pl.len(), pl.col("path").n_unique().alias("paths")).collect().row(0)
        )
        where = f" of {visible(str(self.root))}" if self.root else ""
        return f"<fmrw.Trace{where}: {count:,} events on {paths:,} files>"


def _reads(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("op") == "read")


def load(recording: str | os.PathLike[str]) -> Trace:
    """Open a recording.

    Parameters
    ----------
    recording
        A session folder, sealed or not.

    Raises
    ------
    SessionError
        It is nothing that can be read.
    """
    path = Path(recording)
    if not path.exists():
        raise SessionError(f"{visible(str(path))}: nothing there; give a folder that fmrw recorded into.")
    return Trace(FolderSource(path))
