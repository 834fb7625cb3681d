"""Recorded: the part of a trace that says what was recorded: events, processes, files and their ranges.

A source is asked for a lazy frame of events each time, so that a live mount, a sealed session of 100 million events and a
CSV file are used alike.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.analysis import ranges, summary
from fmrw.errors import UnknownPath
from fmrw.session import paths
from fmrw.session.sources import merged_ranges, rows
from fmrw.text import path_bytes, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmrw.session.sources import Source

_NAMED = 3  # files a message names


class Recorded:
    """What was recorded, without questions.

    Parameters
    ----------
    source : Source
        Where the events come from.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._whole: Recorded | None = None  # that this is a part of

    @property
    def lazy(self) -> pl.LazyFrame:
        """All events up to now as a lazy frame, for sessions that do not fit in memory."""
        return self._source.lazy()

    @property
    def events(self) -> pl.DataFrame:
        """All events up to now, one row each, in the order of the calls (columns: `fmrw.trace.schema.EVENTS`)."""
        frame = rows(self._source)
        return frame if frame["seq"].is_sorted() else frame.sort("seq")

    @property
    def processes(self) -> pl.DataFrame:
        """The processes seen: one row for each thread and name it has carried."""
        return self._source.processes()

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of all programs of the recording, sorted; a part of it has those of the whole, so that colours stay."""
        if self._whole is not None:
            return self._whole.programs
        known = self.processes["name"].drop_nulls().unique()
        if known.is_empty():  # a CSV or a log has no table of processes
            known = merged_ranges(self._source)["process"].drop_nulls().unique()
        return tuple(sorted(set(known) - {""}))

    @property
    def files(self) -> pl.DataFrame:
        """One row for each file: size, bytes read, share covered, reads, writes, largest gap, processes."""
        return summary.of_merged(merged_ranges(self._source))

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known of the session: root, command, options, host, versions, times, counts."""
        return self._source.facts()

    @property
    def live(self) -> bool:
        """Whether events may still come: somebody monitors, and its worker is there."""
        return self._source.active

    @property
    def folder(self) -> Path | None:
        """The session's folder; None where there is none, or only until the end of its mount."""
        return None if self.facts.get("ephemeral") else self._source.session

    @cached_property
    def root(self) -> Path | None:
        """The directory that was monitored."""
        root = self.facts.get("root")
        return Path(root) if root else None

    def resolve(self, path: str | os.PathLike[str]) -> str:
        """Give the name under which a file stands in the events.

        Parameters
        ----------
        path
            Relative to the monitored directory, as `Trace.files` shows it or as the file is called, or absolute below it.

        Raises
        ------
        UnknownPath
            Nothing is recorded under that name; the message lists the nearest ones. While a directory is monitored, files that
            nobody has touched yet have names as well.
        """
        return paths.resolve(self._source, self.root, path)

    def of(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the events of one file."""
        name = self.resolve(path)
        return rows(self._source, pl.col("path") == name).sort("seq")

    def size(self, path: str | os.PathLike[str]) -> int:
        """Give the size of a file after its last event, in bytes; where there is none yet, as it is now."""
        if self._whole is not None:
            return self._whole.size(path)
        name = self.resolve(path)
        found = self.ranges(name)
        return (
            int(summary.of_merged(found)["size"][0])
            if found.height
            else paths.size_now(self._source, name) or 0
        )

    def coverage(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the ranges of a file that were read: `start`, `end`, sorted, not touching each other."""
        return ranges.merge(_reads(self.ranges(path)))

    def gaps(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the ranges of a file that were never read: `start`, `end`."""
        return ranges.complement(_reads(self.ranges(path)), self.size(path))

    def ranges(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give what was read and written of one file, merged, by operation and, where these are few, by process.

        Returns
        -------
        frame of `fmrw.trace.merged.MERGED`
            Asked of a sealed session of any length in a moment, unlike `of`, which gives every event.
        """
        return merged_ranges(self._source, self.resolve(path))

    def content(self, path: str | os.PathLike[str]) -> int | None:
        """Open the content of a file without adding events; the caller closes the descriptor."""
        return self._source.open(path_bytes(self._called(path)))

    def _called(self, path: str | os.PathLike[str]) -> str:
        """Give the name of a file, also of one that nothing has touched yet."""
        try:
            return self.resolve(path)
        except UnknownPath:
            return paths.relative(os.fspath(path), self.root)

    def only_file(self) -> str:
        """Give the file that a recording is about.

        Raises
        ------
        UnknownPath
            It is about several, or none.
        """
        read = [str(row["path"]) for row in self.files.iter_rows(named=True) if row["reads"]]
        if len(read) != 1:
            shown = ", ".join(visible(path) for path in read[:_NAMED]) + (" …" if len(read) > _NAMED else "")
            raise UnknownPath(
                f"{self._name} read {len(read)} files; name one{f': {shown}' if shown else ''}."
            )
        return read[0]

    @property
    def _name(self) -> str:
        """What a message calls this recording."""
        return visible(str(self.folder or self.root or "this recording"))


def _reads(found: pl.DataFrame) -> pl.DataFrame:
    return found.filter(pl.col("op") == "read")
