"""Trace protocol: what the explorer needs of a trace.

`fmrw.Trace` fulfils it. The explorer stands below the session's room, so it knows a trace by what it can do and not by its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import polars as pl

    from fmrw.offsets import Annotation


class Recording(Protocol):
    """What a view needs of a trace; `fmrw.Trace` is one."""

    @property
    def live(self) -> bool:
        """Whether events may still come."""

    @property
    def lazy(self) -> pl.LazyFrame:
        """All events up to now."""

    @property
    def files(self) -> pl.DataFrame:
        """One row for each file."""

    @property
    def processes(self) -> pl.DataFrame:
        """One row for each process: `pid`, `name`, `cmdline` and more."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of all programs of the recording, which decide their colours."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known of the session."""

    @property
    def effects(self) -> pl.DataFrame:
        """What a probe found: `fmrw.trace.effects.EFFECTS`; no rows without one."""

    @property
    def sites(self) -> pl.DataFrame:
        """The code that asked, a row for each frame of each call site; no rows where that was not recorded."""

    def resolve(self, path: str | os.PathLike[str]) -> str:
        """Give the name under which a file stands in the events."""

    def content(self, path: str | os.PathLike[str]) -> int | None:
        """Open the content of a file, unmonitored."""

    def annotations(self, path: str | os.PathLike[str]) -> tuple[Annotation, ...]:
        """Give the named ranges of a file."""

    def annotate(self, path: str | os.PathLike[str], annotations: Sequence[Annotation]) -> None:
        """Keep the named ranges of a file."""
