"""Reports made: CSV and heatmap of one file, for the mount, for `fmrw run` and for `fmrw report`.

In the helper process of a mount (`fmrw.reports`) a file that was asked for once is followed from then on: its index grows with the
journal, so that the next heatmap costs what is new. A CSV is streamed from the journal's beginning and never stands in memory.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.progress import track

from fmrw.analysis.tiles import Index
from fmrw.drawing import about, describe
from fmrw.errors import FigureError
from fmrw.figures.heatmap import heatmap_pdf
from fmrw.text import path_bytes, visible
from fmrw.trace import schema, store
from fmrw.trace.csvlog import write_csv
from fmrw.trace.follow import Follower

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from typing import IO

    from fmrw.session import Trace

FORMATS = {"csv": ".csv", "pdf": "-heatmap.pdf"}
_FOLLOWED = 8  # files whose index is kept in the helper
_PROCESSES = 64  # more are not listed in a caption anyway
_NAME_MAX = 255
_OWN_NAMES = {store.FACTS, store.EVENTS, store.PROCESSES, store.JOURNAL, "worker.log"}


# In the helper of a mount


class _Followed:
    """One file of a session that is being recorded: its index, and what a caption needs."""

    def __init__(self, session: str, path: str) -> None:
        self._journal = os.open(f"{session}/{store.JOURNAL}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._follower = Follower(self._journal)
        self._path = path
        self.index = Index()
        self.processes: dict[str, None] = {}
        self.page = False
        self.size = 0
        self.time: dt.datetime | None = None

    def update(self) -> None:
        """Take in what has come."""
        for batch in self._follower.batches():
            own = batch.filter(pl.col("path") == self._path)
            if own.height:
                self._take(own)
        known = self._follower.names.files.get(self._path)
        if known is not None and not len(self.index):
            self.size = known[0]

    def _take(self, events: pl.DataFrame) -> None:
        moved = schema.transfers(events)
        self.index.extend(moved)
        self.page |= bool((moved["fidelity"] == "page").any())
        self.size, self.time = events["size"][-1], events["time"][-1]
        if len(self.processes) < _PROCESSES:
            pairs = moved.select("process", "pid").unique(maintain_order=True)
            self.processes.update(dict.fromkeys(f"{name} [{pid}]" for name, pid in pairs.iter_rows()))

    def close(self) -> None:
        self._follower.close()
        os.close(self._journal)


_followed: dict[tuple[str, str], _Followed] = {}


def _follow(session: str, path: str) -> _Followed:
    key = (session, path)
    if key not in _followed:
        if len(_followed) >= _FOLLOWED:
            _followed.pop(next(iter(_followed))).close()
        _followed[key] = _Followed(session, path)
    _followed[key].update()
    return _followed[key]


def render(session: str, path: str, kind: str) -> str:
    """Make a report of a file that is being watched.

    Parameters
    ----------
    session : str
        A session folder, named so that no mount lies over it.
    path : str
        As in the events.
    kind : str
        One of `FORMATS`.

    Returns
    -------
    str
        Name of the new file in the session's folder.
    """
    fd, name = tempfile.mkstemp(prefix=".report-", dir=session)
    with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
        MAKERS[kind](session, path, file)
    return Path(name).name


def _live_csv(session: str, path: str, file: IO[bytes]) -> None:
    journal = os.open(f"{session}/{store.JOURNAL}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    follower = Follower(journal)
    try:
        write_csv(schema.empty(), file)
        for batch in follower.batches():
            rows = io.BytesIO()
            write_csv(batch.filter(pl.col("path") == path), rows)
            file.write(rows.getbuffer()[rows.getvalue().index(b"\n") + 1 :])
    finally:
        follower.close()
        os.close(journal)


def _live_pdf(session: str, path: str, file: IO[bytes]) -> None:
    followed = _follow(session, path)
    facts = store.read_facts(Path(session))
    shown = describe(path, followed.size, facts, followed.time)
    shown = replace(shown, processes=tuple(followed.processes), page=followed.page)
    file.write(heatmap_pdf(followed.index, shown))


MAKERS: dict[str, Callable[[str, str, IO[bytes]], None]] = {"csv": _live_csv, "pdf": _live_pdf}


def seal(session: str) -> None:
    """Seal a session whose owner is gone."""
    store.seal(Path(session))


# From a trace


def _write_pdf(trace: Trace, path: str, target: Path) -> None:
    events = trace.of(path)
    target.write_bytes(heatmap_pdf(events, about(trace, path)))


def _write_csv(trace: Trace, path: str, target: Path) -> None:
    write_csv(trace.of(path), target)


WRITERS: dict[str, Callable[[Trace, str, Path], None]] = {"csv": _write_csv, "pdf": _write_pdf}
MOST_FILES = 200
_FEW = 4  # jobs that need no bar


def write_all(
    trace: Trace, folder: Path, formats: Sequence[str], notes: list[str], paths: Sequence[str] | None = None
) -> list[Path]:
    """Write reports of files below a folder, with a progress bar on a terminal.

    Parameters
    ----------
    folder
        Each report is `folder / NAME + suffix`; a name can never lead out of it.
    formats
        Some of `FORMATS`.
    notes
        Remarks are appended.
    paths
        As in the events; None for every file that was read or written, the most read first, at most `MOST_FILES`.

    Raises
    ------
    FigureError
        Unknown format, or the folder cannot be written.
    """
    unknown = [name for name in formats if name not in WRITERS]
    if unknown:
        raise FigureError(f"unknown format {visible(unknown[0])!r}; known: {', '.join(WRITERS)}.")
    chosen = list(paths) if paths is not None else _touched(trace, notes)
    jobs = [(path, name) for path in chosen for name in formats]
    console = Console(stderr=True)
    shown = track(
        jobs, "reports", console=console, transient=True, disable=not console.is_terminal or len(jobs) <= _FEW
    )
    return [_write(trace, folder, path, name) for path, name in shown]


def _touched(trace: Trace, notes: list[str]) -> list[str]:
    files = trace.files.filter(pl.col("reads") + pl.col("writes") > 0).sort(
        "reads", "writes", descending=True
    )
    if files.height > MOST_FILES:
        notes.append(
            f"reports of the {MOST_FILES} most read of {files.height:,} files; `fmrw report SESSION PATH` makes others"
        )
    return files["path"].head(MOST_FILES).to_list()


def _write(trace: Trace, folder: Path, path: str, kind: str) -> Path:
    target = folder / report_name(path, FORMATS[kind])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[kind](trace, path, target)
    except OSError as error:
        raise FigureError(
            f"{visible(str(target))}: {error.strerror}; choose a folder you may write."
        ) from error
    return target


def report_name(path: str, suffix: str) -> Path:
    """Give the relative name of a report: the file's own path, made safe.

    `..`, an absolute path and names of the session's own files are changed, names that would be too long are cut and get a
    hash, so that different files keep different reports inside the folder.
    """
    parts = [part for part in path_bytes(path).split(b"/") if part not in (b"", b".")]
    safe = [b"_.." if part == b".." else part for part in parts] or [b"_"]
    if os.fsdecode(safe[0]) in _OWN_NAMES:
        safe[0] = b"_" + safe[0]
    room = _NAME_MAX - len(suffix)
    if len(safe[-1]) > room:
        digest = hashlib.sha256(safe[-1]).hexdigest()[:12].encode()
        safe[-1] = safe[-1][: room - 13] + b"~" + digest
    return Path(os.fsdecode(b"/".join(safe) + suffix.encode()))
