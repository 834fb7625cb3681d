"""Sealed session: its events, decoded and tried as far as a question needs them.

`fmrw.trace.store.scan` tries a whole file before anybody sees a row of it. A question about one file, or about sums, reads a few columns
of a session of a hundred million events, so here only what is read is tried (`fmrw.trace.parquet.tables.rows`). Merged ranges come from
the table that sealing left (`fmrw.trace.rangetable`) where it fits, else from the events. What was asked last is kept as long as the events do
not change.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import polars as pl

from fmrw.trace import rangetable, schema
from fmrw.trace.folder import EVENTS
from fmrw.trace.merged import MERGED, NEEDED, Merging, merged
from fmrw.trace.parquet import tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

_KEPT = 1 << 21  # rows of merged ranges that are remembered, at most
_NEEDED = pl.Schema({name: schema.EVENTS[name] for name in NEEDED})


class Sealed:
    """The events of a sealed session; may be used by several threads.

    Parameters
    ----------
    folder : Path
        The session's folder.
    facts : mapping
        Its `session.json`.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self._events, self._folder, self._facts = folder / EVENTS, folder, facts
        self._known: dict[str | None, pl.DataFrame] = {}
        self._apart = False
        self._state: tuple[int, ...] | None = None
        self._lock = threading.RLock()

    def rows(
        self, where: pl.Expr | None = None, columns: Sequence[str] | None = None, most: int | None = None
    ) -> pl.DataFrame:
        """Give the events that fulfil a condition, or the first `most` of them.

        Raises
        ------
        SessionError
            They are damaged, or not written by fmrw.
        """
        wanted = (
            schema.EVENTS if columns is None else pl.Schema({name: schema.EVENTS[name] for name in columns})
        )
        return tables.rows(self._events, wanted, where, most)

    def merged(self, path: str | None = None) -> pl.DataFrame:
        """Give the merged ranges of one file, or of all, as `fmrw.trace.merged.MERGED`.

        Raises
        ------
        SessionError
            The events are damaged, or not written by fmrw.
        """
        with self._lock:
            self._look_again()
            if path in self._known:
                return self._known[path]
            if None in self._known:
                return self._known[None].filter(path=path)
            found = self._merged() if path is None else self._of_one(path)
            if found.height <= _KEPT:
                self._known = {path: found}
            return found

    def of_process(self, process: str, path: str | None = None) -> pl.DataFrame:
        """Give what the processes of one name did, as `merged`; from the table of ranges, if it holds them apart.

        Raises
        ------
        SessionError
            The events are damaged, or not written by fmrw.
        """
        whose = pl.col("process") == process
        where = whose if path is None else whose & (pl.col("path") == path)
        with self._lock:
            self._look_again()
            if self._apart:
                return self._known[None].filter(where)
        return self._merged(where)

    def knows(self, path: str) -> bool:
        """Tell whether there is any event of a file; who asks that asks more of the file soon.

        Raises
        ------
        SessionError
            The events are damaged, or not written by fmrw.
        """
        return self.merged(path).height > 0

    def _look_again(self) -> None:
        """Forget what was known of other events, and look for the table of these."""
        try:
            status = self._events.stat()
        except OSError:
            state = None
        else:
            state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if state is None or state != self._state:
            table = rangetable.read(self._folder, self._facts)
            self._known = {} if table is None else {None: table}
            self._apart = table is not None and rangetable.apart(table)
            self._state = state

    def _of_one(self, path: str) -> pl.DataFrame:
        return merged(tables.rows(self._events, _NEEDED, pl.col("path") == path))

    def _merged(self, where: pl.Expr | None = None) -> pl.DataFrame:
        """Merge the ranges of all events, or of those that fulfil a condition, batch by batch."""
        merging = Merging()
        take = merging.add if where is None else lambda batch: merging.add(batch.filter(where))
        tables.each(self._events, _NEEDED, take)
        frame = merging.frame()
        return MERGED.to_frame() if frame is None else frame


class Part:
    """The events of a sealed session that the processes of one name did; asked as `Sealed` is."""

    def __init__(self, whole: Sealed, process: str) -> None:
        self._whole, self._process = whole, process

    def rows(
        self, where: pl.Expr | None = None, columns: Sequence[str] | None = None, most: int | None = None
    ) -> pl.DataFrame:
        """Give the events that fulfil a condition, or the first `most` of them; see `Sealed.rows`."""
        whose = pl.col("process") == self._process
        wanted = None if columns is None else [*dict.fromkeys((*columns, "process"))]
        found = self._whole.rows(whose if where is None else whose & where, wanted, most)
        return found if columns is None else found.select(columns)

    def merged(self, path: str | None = None) -> pl.DataFrame:
        """Give the merged ranges of one file, or of all; see `Sealed.merged`."""
        return self._whole.of_process(self._process, path)

    def knows(self, path: str) -> bool:
        """Tell whether there is any event of a file."""
        return self.rows(pl.col("path") == path, ["path"], most=1).height > 0
