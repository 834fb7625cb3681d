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
            found = self._of_all() if path is None else self._of_one(path)
            if found.height <= _KEPT:
                self._known = {path: found}
            return found

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
            self._state = state

    def _of_one(self, path: str) -> pl.DataFrame:
        return merged(tables.rows(self._events, _NEEDED, pl.col("path") == path))

    def _of_all(self) -> pl.DataFrame:
        merging = Merging()
        tables.each(self._events, _NEEDED, merging.add)
        frame = merging.frame()
        return MERGED.to_frame() if frame is None else frame
