"""Rendering: CSV and heatmap of a file that is being watched, made in the helper process of a mount (`fmrw.capture.reports.helper`).

A file that was asked for once is followed from then on: its index grows with the
journal, so that the next heatmap costs what is new. A CSV is streamed from the journal's beginning and never stands in memory;
who only wants CSV waits for nothing that draws.
"""

from __future__ import annotations

import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis.index.tiles import Index
from fmrw.formats.csv.log import write_csv
from fmrw.session import sites
from fmrw.session.beneath import size_below
from fmrw.text import path_bytes
from fmrw.trace import exactness, schema, store
from fmrw.trace.follow import Follower

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from typing import IO


FORMATS = {"csv": ".csv", "pdf": "-heatmap.pdf"}
_FOLLOWED = 8  # files whose index is kept in the helper
_PROCESSES = 64  # more are not listed in a caption anyway


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
        self.smallest: int | None = None
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
        self.page |= exactness.fidelity(moved) == exactness.PAGE
        asked = [each for each in (self.smallest, exactness.smallest_request(moved)) if each is not None]
        self.smallest = min(asked, default=None)
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
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor
            MAKERS[kind](session, path, file)
    except BaseException:  # or whoever reads the report again and again fills the session's folder
        Path(name).unlink()
        raise
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
    from fmrw.figures import render as engine  # noqa: PLC0415 - takes long, and a CSV does not need it

    engine.wake()  # before the others are imported
    from fmrw.figures.heatmap import heatmap_pdf  # noqa: PLC0415 - the same
    from fmrw.session.charts import describe  # noqa: PLC0415 - the same

    followed = _follow(session, path)
    facts = store.read_facts(Path(session))
    shown = describe(path, followed.size, facts, followed.time)
    if not len(followed.index):
        shown = replace(
            shown,
            requests=0,
            size=followed.size or size_below(str(facts.get("root") or ""), path_bytes(path)),
        )
    else:
        shown = replace(shown, page=followed.page, requests=len(followed.index), smallest=followed.smallest)
    shown = replace(shown, processes=tuple(followed.processes))
    file.write(heatmap_pdf(followed.index, shown))


MAKERS: dict[str, Callable[[str, str, IO[bytes]], None]] = {"csv": _live_csv, "pdf": _live_pdf}


def seal(session: str) -> None:
    """Seal a session whose owner is gone."""
    store.seal(Path(session))
    sites.keep_names(Path(session))
