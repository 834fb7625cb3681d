"""Where a trace's events come from: a folder, several of them, memory."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import polars as pl

from fmrw.capture.process import descriptor_path
from fmrw.trace import store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

AnyFrame = TypeVar("AnyFrame", pl.DataFrame, pl.LazyFrame)


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


class SetSource:
    """Several sessions as one, each row with the session's folder and host."""

    def __init__(self, sources: Mapping[str, FolderSource]) -> None:
        self._sources = sources

    def lazy(self) -> pl.LazyFrame:
        """Scan all of them."""
        return pl.concat([self._marked(source.lazy(), name) for name, source in self._sources.items()])

    def processes(self) -> pl.DataFrame:
        """Give the processes of all of them."""
        return pl.concat([self._marked(source.processes(), name) for name, source in self._sources.items()])

    def _marked(self, frame: AnyFrame, name: str) -> AnyFrame:
        host = str(self._sources[name].facts().get("host", ""))
        return frame.with_columns(session=pl.lit(name), host=pl.lit(host))

    def facts(self) -> Mapping[str, Any]:
        """Give the facts of each, by name."""
        return {"sessions": {name: dict(source.facts()) for name, source in self._sources.items()}}

    def open(self, path: bytes) -> int | None:
        """Give nothing: a path may be another file in each session."""
        del path
        return None


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


class Beneath:
    """A directory as it is beneath whatever is mounted over it later."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._fd: int | None = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: bytes) -> int | None:
        """Open a file for reading; None for what is not there or not below."""
        with self._lock:
            if self._fd is None:
                return open_below(str(self._root), path)
            return open_below(descriptor_path(self._fd), path)

    def close(self) -> None:
        """Let the directory go: nothing is mounted over it any more."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            self._fd = None
