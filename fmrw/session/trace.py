"""What the user holds: `Trace`, the recording of one session or many, wherever it comes from.

A `Trace` asks its source for a lazy frame of events each time, so that a live mount, a sealed session of 100 million
events and a CSV file are used alike. `load` finds out what it was given.
"""

from __future__ import annotations

import difflib
import glob
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.analysis import compare, ranges, summary
from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.errors import SessionError, UnknownPath
from fmrw.formats.csv.log import read_csv
from fmrw.formats.strace.log import read_strace
from fmrw.offsets import Annotation
from fmrw.session import annotations as notes
from fmrw.session.sources import FolderSource, FrameSource, SetSource, Source
from fmrw.text import path_bytes, path_text, visible
from fmrw.trace import schema, store
from fmrw.trace.foreign import opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from altair import LayerChart

    from fmrw.analysis.compare import Run
    from fmrw.explorer.explorer import Explorer


class Trace:
    """The recording of a session.

    Parameters
    ----------
    source : Source
        Where the events come from; ask `fmrw.load`, `fmrw.mount` or `fmrw.run` for a trace.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._marked: dict[str, tuple[Annotation, ...]] = {}

    @property
    def lazy(self) -> pl.LazyFrame:
        """All events up to now as a lazy frame, for sessions that do not fit in memory."""
        return self._source.lazy()

    @property
    def events(self) -> pl.DataFrame:
        """All events up to now, one row each, in the order of the calls (columns: `fmrw.trace.schema.EVENTS`)."""
        frame = self._source.lazy().collect()
        return frame if frame["seq"].is_sorted() else frame.sort("seq")

    @property
    def processes(self) -> pl.DataFrame:
        """The processes seen: one row for each thread and name it has carried."""
        return self._source.processes()

    @property
    def files(self) -> pl.DataFrame:
        """One row for each file: size, bytes read, share covered, reads, writes, largest gap, processes."""
        return summary.files(self._source.lazy())

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
            Nothing is recorded under that name; the message lists the nearest ones.
        """
        text, lazy = os.fspath(path), self._source.lazy()
        called = path_text(os.fsencode(text))
        for candidate in dict.fromkeys((text, self._relative(text), called, self._relative(called))):
            if lazy.select((pl.col("path") == candidate).any()).collect().item():
                return candidate
        known = lazy.select(pl.col("path").unique()).collect()["path"].to_list()
        nearest = difflib.get_close_matches(text, known, n=3, cutoff=0.3) or sorted(known)[:3]
        shown = ", ".join(visible(name) for name in nearest) or "nothing"
        raise UnknownPath(f"{visible(text)} is not in this session; recorded near it: {shown}.")

    def _relative(self, text: str) -> str:
        normal = os.path.normpath(text)
        if self.root is not None and os.path.isabs(normal):  # noqa: PTH117 - text, with escapes
            return os.path.relpath(registry.resolved(normal), self.root)
        return normal

    def of(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the events of one file."""
        name = self.resolve(path)
        return self._source.lazy().filter(pl.col("path") == name).sort("seq").collect()

    def size(self, path: str | os.PathLike[str]) -> int:
        """Give the size of a file after its last event, in bytes."""
        return int(summary.files(self.of(path))["size"][0])

    def coverage(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the ranges of a file that were read: `start`, `end`, sorted, not touching each other."""
        return ranges.merge(_reads(self.of(path)))

    def gaps(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the ranges of a file that were never read: `start`, `end`."""
        return ranges.complement(_reads(self.of(path)), self.size(path))

    def runs(self, path: str | os.PathLike[str]) -> dict[str, Run]:
        """Give what each process read of a file, as sets: `runs["unzip"] - runs["pdftotext"]`."""
        return compare.runs_by_process(self.of(path), self.size(path))

    def run(self, path: str | os.PathLike[str], name: str | None = None) -> Run:
        """Give what was read of a file, by whomever, as one set."""
        return compare.Run.of(self.of(path), name or self.resolve(path), self.size(path))

    def __getitem__(self, process: str) -> Run:
        """Give what a process read of the only file it read: `trace["unzip"] & trace["pdftotext"]`.

        Raises
        ------
        UnknownPath
            No such process, or it read several files: `trace.runs(PATH)` chooses one.
        """
        read = self._source.lazy().filter(pl.col("op") == "read", pl.col("end") > pl.col("start"))
        pairs = read.select("process", "path").unique().collect()
        paths = pairs.filter(pl.col("process") == process)["path"].to_list()
        if not paths:
            known = ", ".join(visible(name) for name in sorted(set(pairs["process"]))) or "nobody"
            raise UnknownPath(f"{visible(process)} read nothing in this session; {known} did.")
        if len(paths) > 1:
            raise UnknownPath(
                f"{visible(process)} read {len(paths)} files; choose one with `trace.runs(PATH)[{visible(process)!r}]`."
            )
        events = self.of(paths[0]).filter(pl.col("process") == process)
        return compare.Run.of(events, process, self.size(paths[0]))

    def content(self, path: str | os.PathLike[str]) -> int | None:
        """Open the content of a file without adding events; the caller closes the descriptor."""
        try:
            name = self.resolve(path)
        except UnknownPath:  # nothing touched it yet
            name = self._relative(os.fspath(path))
        return self._source.open(path_bytes(name))

    def chart(self, path: str | os.PathLike[str], name: str = "heatmap", **options: Any) -> LayerChart:  # noqa: ANN401 - the chart's own
        """Draw a chart of one file: heatmap, strip, timeline, lanes, access-order, entropy or crosstab.

        Parameters
        ----------
        path, name
            File and chart.
        **options
            `look` (`fmrw.figures.theme.preset`), `annotations`, and the chart's own.
        """
        from fmrw.session import charts  # noqa: PLC0415 - altair takes a second to import

        return charts.chart(self, self.resolve(path), name, **options)

    def heatmap(self, path: str | os.PathLike[str], **options: Any) -> LayerChart:  # noqa: ANN401 - the chart's own
        """Draw the file as a square grid, coloured by the number of accesses."""
        return self.chart(path, "heatmap", **options)

    def annotations(self, path: str | os.PathLike[str]) -> tuple[Annotation, ...]:
        """Give the named ranges of a file, as `annotate` kept them; a session keeps them in its folder."""
        name, folder = os.fspath(path), self.folder
        kept = self._marked.get(name)
        return kept if kept is not None else notes.read(folder, name) if folder is not None else ()

    def annotate(self, path: str | os.PathLike[str], annotations: Sequence[Annotation]) -> None:
        """Keep the named ranges of a file instead of those before: `[(0x1c0, 0x800, "cavity")]`.

        Raises
        ------
        SessionError
            The session's folder is gone or cannot be written; they are kept in this trace all the same.
        """
        marked = tuple(Annotation(*each) for each in annotations)
        self._marked[os.fspath(path)] = marked
        if (folder := self.folder) is not None:
            notes.write(folder, os.fspath(path), marked)

    def explore(self, path: str | os.PathLike[str], **state: Any) -> Explorer:  # noqa: ANN401 - the explorer's traits
        """Show a file in a notebook, from the whole of it down to one byte; live while its mount is there."""
        from fmrw.explorer import explorer  # noqa: PLC0415 - widgets are for notebooks

        return explorer.explore(self, path, **state)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the trace as a session folder.

        Raises
        ------
        SessionExists, SessionError
            The folder holds something already, or cannot be written.
        """
        target = Path(folder)
        store.create(target, {})
        store.write_events(
            target / store.EVENTS, iter([schema.empty(), self.events.select(schema.EVENTS.names())])
        )
        store.write_processes(target, self.processes)
        store.write_facts(target, {**store.read_facts(target), **self.facts, "ephemeral": False})
        for path, marked in {**notes.everything(self.folder), **self._marked}.items():
            notes.write(target, path, marked)
        return target

    def __repr__(self) -> str:
        """Say what was recorded."""
        count, paths = (
            self._source.lazy().select(pl.len(), pl.col("path").n_unique().alias("paths")).collect().row(0)
        )
        where = f" of {visible(str(self.root))}" if self.root else ""
        return f"<fmrw.Trace{where}: {count:,} events on {paths:,} files>"


def _reads(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(pl.col("op") == "read")


# What there is to load


def load(recording: str | os.PathLike[str], *, root: str | os.PathLike[str] | None = None) -> Trace:
    """Open a recording.

    Parameters
    ----------
    recording
        A session folder, sealed or not; a directory that is monitored now; a pattern such as `runs/*`, or a folder of
        sessions, loaded as one lazily scanned set with the columns `session` and `host` added; a CSV of ours or of
        the ancestor's; an `events.parquet`; a log of `strace -f -y -o log`.
    root
        For a strace log: keep the files below this directory only, with paths relative to it.

    Raises
    ------
    SessionError, BadInput
        It is nothing that can be read.
    """
    name = os.fspath(recording)
    path, place = Path(name), registry.resolved(name)
    live = registry.session_of(place)
    if live is not None:  # before anything looks at the mount, whose worker may be stopped
        return Trace(FolderSource(live))
    unmounting.require_answer(place)
    if not path.exists() and glob.has_magic(name):
        return _set([Path(found) for found in sorted(glob.glob(name))], name)  # noqa: PTH207 - a user's pattern
    if not path.exists():
        raise SessionError(f"{visible(name)}: nothing there; give a folder that fmrw recorded into.")
    if path.is_dir():
        return _folder(path)
    return Trace(_file(path, root))


def _folder(path: Path) -> Trace:
    inside = (
        []
        if (path / store.FACTS).exists()
        else [each for each in sorted(path.iterdir()) if (each / store.FACTS).exists()]
    )
    return _set(inside, str(path)) if inside else Trace(FolderSource(path))


def _set(folders: Sequence[Path], name: str) -> Trace:
    sessions = [folder for folder in folders if (folder / store.FACTS).exists()]
    if not sessions:
        raise SessionError(f"{visible(name)} names no session; give folders that fmrw recorded into.")
    return Trace(SetSource({str(folder): FolderSource(folder) for folder in sessions}))


def _file(path: Path, root: str | os.PathLike[str] | None) -> FrameSource:
    """Read a single file by what it begins with."""
    with opened(path, "a recording") as stream:
        head = stream.read(64)
    facts: dict[str, Any] = {"root": os.fspath(root) if root is not None else None}
    nobody = pl.DataFrame(schema=schema.PROCESSES)
    if head.startswith(b"PAR1"):
        return FrameSource(store.scan_events(path).collect(), nobody, facts)
    if b"Time" in head or path.suffix == ".csv":
        return FrameSource(read_csv(path), nobody, facts)
    return FrameSource(read_strace(path, root), nobody, facts)
