"""Spool: events that need not fit in memory, the newest in frames, the rest in Parquet files that have no name.

A session that is not sealed is read from its journal, whole calls at a time, and may hold a hundred million events. `Spool` keeps a
bounded number of them as frames. More than that go to a temporary file, a few bytes an event, that vanishes with the last frame that is made
of it. So reading an unsealed session costs the memory of one part, and every later question scans the parts lazily.
"""

from __future__ import annotations

import tempfile
import threading
from typing import TYPE_CHECKING

import polars as pl

from fmrw.errors import SessionError
from fmrw.text import visible
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Iterable

SPILL = 1 << 20
"""Events that are kept as frames, at most: about 100 MB."""


class Spool:
    """Gather frames of `schema.EVENTS`; may be used by several threads.

    Parameters
    ----------
    most : int, optional
        Events that are kept as frames; `SPILL` if not given.
    lenient : bool
        Keep more than that where there is no room for temporary files, instead of refusing.

    Attributes
    ----------
    rows : int
        Events gathered so far.
    """

    def __init__(self, most: int | None = None, *, lenient: bool = False) -> None:
        self._most = SPILL if most is None else most
        self._lenient = lenient
        self._frames = [schema.empty()]
        self._kept = 0
        self._parts: list[pl.LazyFrame] = []
        self._lock = threading.Lock()
        self.rows = 0

    def extend(self, frames: Iterable[pl.DataFrame]) -> None:
        """Take in frames, one at a time.

        Raises
        ------
        SessionError
            There is no room for temporary files; what was taken in before stays. Not where it is lenient.
        """
        for frame in frames:
            if frame.height:
                with self._lock:
                    self._take(frame)

    def _take(self, frame: pl.DataFrame) -> None:
        self._frames.append(frame)
        self._kept += frame.height
        self.rows += frame.height
        if self._kept >= self._most:
            self._spill()

    def _spill(self) -> None:
        try:
            self._parts.append(_spilled(pl.concat(self._frames)))
        except SessionError:
            if not self._lenient:
                raise
            self._most *= 2  # and try again then
        else:
            self._frames, self._kept = [schema.empty()], 0

    def lazy(self) -> pl.LazyFrame:
        """Give all events up to now; what comes later does not change it."""
        with self._lock:
            if len(self._frames) > 1:
                self._frames = [pl.concat(self._frames)]
            return (
                pl.concat([*self._parts, self._frames[0].lazy()]) if self._parts else self._frames[0].lazy()
            )


def _spilled(events: pl.DataFrame) -> pl.LazyFrame:
    """Write a part; the descriptor that polars keeps is all that is left of its file."""
    try:
        with tempfile.TemporaryFile(prefix="fmrw-part-") as file:
            events.write_parquet(file, compression="lz4", row_group_size=1 << 18, statistics=False)
            file.flush()
            file.seek(0)
            return pl.scan_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SessionError(
            f"no room for temporary files in {visible(tempfile.gettempdir())} ({visible(str(error))}); set TMPDIR to a folder with room."
        ) from error
