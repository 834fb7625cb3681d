"""Only: the part of a source that one program did, or some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.trace.sealed import Part, Sealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fmrw.session.sources import Source


class Only:
    """A source of which only the rows of some processes' names are given; it follows what it is a part of."""

    def __init__(self, source: Source, *processes: str) -> None:
        self._source = source
        self._processes = processes

    @property
    def active(self) -> bool:
        """Whether events may still come."""
        return self._source.active

    @property
    def sealed(self) -> Part | None:
        """The part of one program of the sealed session, where there is one."""
        whole = self._source.sealed
        single = len(self._processes) == 1
        return Part(whole, self._processes[0]) if single and isinstance(whole, Sealed) else None

    @property
    def session(self) -> Path | None:
        """The folder of the whole session."""
        return self._source.session

    def lazy(self) -> pl.LazyFrame:
        """Give the programs' events up to now."""
        return self._source.lazy().filter(pl.col("process").is_in(self._processes))

    def processes(self) -> pl.DataFrame:
        """Give the programs' processes."""
        return self._source.processes().filter(pl.col("name").is_in(self._processes))

    def sites(self) -> pl.DataFrame:
        """Give the call sites of the whole session."""
        return self._source.sites()

    def facts(self) -> Mapping[str, Any]:
        """Give what is known of the whole session."""
        return self._source.facts()

    def open(self, path: bytes) -> int | None:
        """Open a recorded file's content, unmonitored."""
        return self._source.open(path)
