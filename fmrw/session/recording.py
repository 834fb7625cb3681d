"""Recording protocol: what questions and charts need of a trace, so that they need not know the class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl


class Recording(Protocol):
    """A recorded session, asked for one file at a time; `fmrw.session.trace.Trace` is one."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known of the session."""

    @property
    def root(self) -> Path | None:
        """The directory that was monitored."""

    @property
    def events(self) -> pl.DataFrame:
        """All events up to now."""

    @property
    def sites(self) -> pl.DataFrame:
        """The code that asked, with names."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of all programs of the session."""

    @property
    def processes(self) -> pl.DataFrame:
        """The processes seen."""

    @property
    def effects(self) -> pl.DataFrame:
        """What a probe found of the files."""

    def resolve(self, path: str) -> str:
        """Give the name under which a file stands in the events."""

    def of(self, path: str) -> pl.DataFrame:
        """Give the events of a file."""

    def ranges(self, path: str) -> pl.DataFrame:
        """Give the merged ranges of a file."""

    def size(self, path: str) -> int:
        """Give the size of a file, in bytes."""

    def coverage(self, path: str) -> pl.DataFrame:
        """Give the ranges that were read."""

    def gaps(self, path: str) -> pl.DataFrame:
        """Give the ranges that were never read."""

    def content(self, path: str) -> int | None:
        """Open a file's content; the caller closes the descriptor."""
