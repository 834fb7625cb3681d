"""One file of a recording, as a view asks for it: bins, rows of a window, who was there, gaps, the file's own bytes.

`Recorded` holds the reads and writes of one file and an index of each direction; `update` takes in what a live mount has added. A
trace is known by what it can do (`Recording`), not by its class.

The content is read through the descriptor the trace gives, which nothing monitors. If the file is gone, or is not what was
recorded, `content` says so in words and gives no bytes.
"""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.structure import structure
from fmrw.analysis.tiles import Filter, Index, window_edges
from fmrw.errors import FmrwError, UnknownPath
from fmrw.figures.page import About
from fmrw.text import path_bytes, visible
from fmrw.trace.schema import EVENTS, transfers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

COLUMNS = ("seq", "time", "op", "start", "end", "size", "fidelity", "handle", "pid", "tid", "process")
OPS = {"both": ("read", "write"), "read": ("read",), "write": ("write",)}
_WITHOUT_SIZE = ("unlink", "rename")
_SETS_KEPT = 4


class Recording(Protocol):
    """What a view needs of a trace; `fmrw.Trace` is one.

    Beyond this it may have `live`, whether events still come, and `folder`, where the session lies.
    """

    @property
    def lazy(self) -> pl.LazyFrame:
        """All events up to now."""

    @property
    def files(self) -> pl.DataFrame:
        """One row for each file."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known of the session."""

    def resolve(self, path: str | os.PathLike[str]) -> str:
        """Give the name under which a file stands in the events."""

    def content(self, path: str | os.PathLike[str]) -> int | None:
        """Open the content of a file, unmonitored."""


def is_live(trace: Recording) -> bool:
    """Tell whether events may still come."""
    known = getattr(trace, "live", None)
    if known is not None:
        return bool(known)
    facts = trace.facts
    return "started" in facts and not facts.get("ended")


def folder_of(trace: Recording) -> Path | None:
    """Give the session's folder, where there is one."""
    folder: Path | None = getattr(trace, "folder", None)
    return folder


class Choice(NamedTuple):
    """Which reads and writes are shown; None lets everybody pass."""

    ops: str = "both"
    processes: tuple[tuple[int, str], ...] | None = None
    threads: tuple[int, ...] | None = None
    handles: tuple[int, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def who(self) -> dict[str, Any]:
        """Give it as arguments of `Index.bins` and `Filter.of`, without the operation."""
        named = {"processes": self.processes, "tids": self.threads, "handles": self.handles}
        return named | {"since": self.since, "until": self.until}


class Recorded:
    """The reads and writes of one file.

    Attributes
    ----------
    path : str
        As in the events.
    size : int
        Bytes in the file after its last event.
    page : bool
        Whether some ranges are only exact to the page.
    processes : tuple of (pid, name)
        In order of their first access.
    version : int
        Grows with every event taken in.
    """

    def __init__(self, trace: Recording, path: str | os.PathLike[str]) -> None:
        self.trace = trace
        self.path = _name(trace, path)
        self.size = 0
        self.page = False
        self.processes: tuple[tuple[int, str], ...] = ()
        self.version = 0
        self.last: datetime | None = None
        self._seen = 0
        self._lock = threading.Lock()  # one thread follows while another asks
        self._rows = [pl.DataFrame(schema={name: EVENTS[name] for name in COLUMNS})]
        self._indexes = {op: Index() for op in OPS["both"]}
        self._sets: dict[tuple[Choice, int], pl.DataFrame] = {}
        self._structure: pl.DataFrame | None = None
        if not self.update() and is_live(trace):
            self.size = _size(trace, self.path) or 0

    # Growing

    def update(self) -> bool:
        """Take in the events since the last time; tell whether there were any of this file."""
        lazy = self.trace.lazy
        total = lazy.select(pl.len()).collect().item()
        if total <= self._seen:
            return False
        own = (
            lazy.slice(self._seen, total - self._seen)
            .filter(pl.col("path") == self.path)
            .select(COLUMNS)
            .collect()
        )
        self._seen = total
        if own.height:
            self._take(own if own["seq"].is_sorted() else own.sort("seq"))
        return own.height > 0

    def _take(self, own: pl.DataFrame) -> None:
        told = own.filter(~pl.col("op").is_in(_WITHOUT_SIZE))
        if told.height:
            self.size = int(told["size"][-1])
        self.last = own["time"][-1]
        moved = transfers(own)
        with self._lock:
            self._rows.append(moved)
            self.version += 1
        if moved.is_empty():
            return
        for op, index in self._indexes.items():
            part = moved.filter(pl.col("op") == op)
            index.extend(part if part.height < moved.height else moved)
        self.page |= bool((moved["fidelity"] == "page").any())
        pairs = moved.lazy().select("pid", "process").unique(maintain_order=True).collect()
        self.processes = tuple(dict.fromkeys([*self.processes, *pairs.rows()]))

    @property
    def rows(self) -> pl.DataFrame:
        """All reads and writes that moved bytes."""
        with self._lock:
            if len(self._rows) > 1:
                self._rows = [pl.concat(self._rows)]
            return self._rows[0]

    # Asking

    def pairs(self, wanted: Sequence[Any] | None) -> tuple[tuple[int, str], ...] | None:
        """Give the processes meant by pairs, pids or names; None for all."""
        if wanted is None:
            return None
        asked = {tuple(each) if isinstance(each, list | tuple) else each for each in wanted}
        known = {item for pid, name in self.processes for item in (pid, name, (pid, name))}
        if missing := [each for each in asked if each not in known]:
            shown = ", ".join(f"{visible(name)} [{pid}]" for pid, name in self.processes[:8]) or "none yet"
            raise UnknownPath(f"no process {visible(str(missing[0]))} touched this file: choose from {shown}")
        return tuple(pair for pair in self.processes if {pair[0], pair[1], pair} & asked)

    def bins(self, edges: NDArray[np.int64], op: str, choice: Choice) -> pl.DataFrame:
        """Say what one operation did in each bin, as `Index.bins` does."""
        return self._indexes[op].bins(edges, op=None, **choice.who())

    def each_byte(self, start: int, end: int, choice: Choice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count the reads and the writes of each byte of a short range."""
        edges = window_edges(start, end, max(end - start, 1))
        counts = [
            self.bins(edges, op, choice)["accesses"].to_numpy() * (op in OPS[choice.ops])
            for op in OPS["both"]
        ]
        return counts[0], counts[1]

    def present(self, op: str) -> bool:
        """Tell whether an operation happened at all."""
        return len(self._indexes[op]) > 0

    def chosen(self, choice: Choice, window: tuple[int, int] | None = None) -> pl.DataFrame:
        """Give the reads and writes of a choice that share a byte with a window."""
        rows = self.rows
        if window is not None and window != (0, self.size):
            rows = rows.filter(pl.col("start") < window[1], pl.col("end") > window[0])
        op = None if choice.ops == "both" else choice.ops
        mask = Filter.of(op=op, **choice.who()).mask(rows)
        return rows if mask is None else rows.filter(pl.Series(mask))

    def touched(self, choice: Choice) -> pl.DataFrame:
        """Give the ranges of a choice as a set; remembered, since gaps are asked for again and again."""
        key = (choice, self.version)
        if key not in self._sets:
            while len(self._sets) >= _SETS_KEPT:
                self._sets.pop(next(iter(self._sets)))
            self._sets[key] = ranges.merge(self.chosen(choice).select("start", "end"))
        return self._sets[key]

    def gaps(self, choice: Choice) -> pl.DataFrame:
        """Give the ranges of the file that a choice did not touch."""
        return ranges.complement(self.touched(choice), self.size)

    def moment(self, share: float) -> datetime | None:
        """Give the time by which a share of all accesses had happened."""
        rows = self.rows
        if rows.is_empty():
            return None
        at: datetime = rows["time"][min(int(share * rows.height), rows.height - 1)]
        return at

    def about(self) -> About:
        """Say whose bytes a figure shows."""
        facts = self.trace.facts
        names = tuple(f"{name} [{pid}]" for pid, name in self.processes)
        capture = (facts.get("options") or {}).get("capture")
        command = facts.get("command")
        return About(
            self.path, self.size, processes=names, page=self.page, capture=capture,
            command=" ".join(command) if command else None, date=self.last,
        )  # fmt: skip

    # The file itself

    def content(self, start: int, end: int) -> tuple[bytes | None, str]:
        """Read bytes of the file.

        Returns
        -------
        bytes or None, str
            The bytes of [start, end), fewer at the end of the file, and nothing to say; or None, and why.
        """
        found, reason = self.contents([(start, end)])
        return (found[0] if found else None), reason

    def contents(self, windows: Sequence[tuple[int, int]]) -> tuple[list[bytes], str]:
        """Read several ranges through one descriptor; none at all if the file is not what was recorded."""
        fd = self._open()
        if fd is None:
            return [], "the file is not at hand"
        try:
            reason = self._changed(os.fstat(fd))
            return ([] if reason else [os.pread(fd, end - start, start) for start, end in windows]), reason
        except OSError as error:
            return [], f"the file cannot be read: {error.strerror}"
        finally:
            os.close(fd)

    def _open(self) -> int | None:
        try:
            return self.trace.content(self.path)
        except FmrwError:
            return None

    def _changed(self, status: os.stat_result) -> str:
        if status.st_size != self.size:
            return f"the file changed: {self.size:,} bytes were recorded, it has {status.st_size:,} now"
        known = self.trace.facts.get("files", {}).get(self.path, {}).get("mtime_ns")
        written = self.present("write") and is_live(self.trace)  # its time goes on while it is watched
        if known and known != status.st_mtime_ns and not written:
            return "the file changed since it was recorded: its time of change is another"
        return ""

    @property
    def structure(self) -> pl.DataFrame | None:
        """The ranges the format names, once `parse` has found them."""
        return self._structure

    def parse(self) -> str:
        """Look for a format in the file; give the reason if that cannot be done."""
        fd = self._open()
        if fd is None:
            return "the file is not at hand"
        try:
            reason = self._changed(os.fstat(fd))
            if not reason:
                self._structure = structure(f"/dev/fd/{fd}")
        except FmrwError as error:
            return str(error)
        finally:
            os.close(fd)
        return reason

    def parts(self, start: int, end: int) -> pl.DataFrame:
        """Give the named ranges that share a byte with [start, end): `start, end, name, depth`."""
        found = self._structure
        if found is None:
            return pl.DataFrame(
                schema={"start": pl.Int64, "end": pl.Int64, "name": pl.String, "depth": pl.Int64}
            )
        return found.filter(pl.col("start") < end, pl.col("end") > start)


def _name(trace: Recording, path: str | os.PathLike[str]) -> str:
    """Give a file's name in the events; of a live trace also that of a file that has no events yet."""
    try:
        return trace.resolve(path)
    except UnknownPath:
        text = _below(trace, path)
        if not is_live(trace) or _size(trace, text) is None:
            raise
        return text


def _below(trace: Recording, path: str | os.PathLike[str]) -> str:
    root, text = trace.facts.get("root"), os.path.normpath(os.fspath(path))
    return os.path.relpath(text, root) if root and os.path.isabs(text) else text  # noqa: PTH117 - text, with escapes


def _size(trace: Recording, path: str) -> int | None:
    """Give the size of a file that nothing is recorded of yet; to ask for it adds no event."""
    try:
        status = os.stat(os.path.join(os.fsencode(trace.facts.get("root") or "."), path_bytes(path)))  # noqa: PTH116, PTH118 - bytes
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
