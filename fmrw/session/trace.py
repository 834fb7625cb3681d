"""Trace: what the user holds, the recording of one session or many, wherever it comes from.

A `Trace` asks its source for a lazy frame of events each time, so that a live mount, a sealed session of 100 million
events and a CSV file are used alike. Questions about one file are answered in `fmrw.session.questions`, charts drawn in
`fmrw.session.charts`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.offsets import Annotation
from fmrw.session import annotations as notes
from fmrw.session import programs, questions, saving
from fmrw.session.only import Only
from fmrw.session.recorded import Recorded
from fmrw.session.sources import merged_ranges
from fmrw.text import visible
from fmrw.trace import effects

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from altair import LayerChart

    from fmrw.analysis.compare import Run
    from fmrw.analysis.expectations import Violation
    from fmrw.explorer.explorer import Explorer
    from fmrw.session.sources import Source


class Trace(Recorded):
    """The recording of a session.

    Parameters
    ----------
    source : Source
        Where the events come from; ask `fmrw.load`, `fmrw.mount` or `fmrw.run` for a trace.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._marked: dict[str, tuple[Annotation, ...]] = {}
        self._sites: pl.DataFrame | None = None

    def only(self, *processes: str) -> Trace:
        """Give the part of the recording that one program did, or some: all processes and threads of these names.

        Sizes of files stay those of the whole recording.

        Raises
        ------
        UnknownPath
            No process of such a name is recorded; the message lists those that are.
        """
        part = Trace(Only(self._source, *processes))
        for process in processes:
            programs.require(self._source, Only(self._source, process), process, self._name)
        part._whole = self
        return part

    @property
    def sites(self) -> pl.DataFrame:
        """The code that asked: one row for each frame of each call site (columns: `fmrw.trace.schema.SITES`), where that was recorded."""
        from fmrw.session import sites  # noqa: PLC0415 - reads programs, which few questions need

        known = self._source.sites()
        if self._sites is None or self._sites.height != known.height:
            self._sites = sites.named(self._source)
        return self._sites

    def site_report(
        self, path: str | os.PathLike[str] | None = None, function: str | None = None
    ) -> pl.DataFrame:
        """Say what each call site asked for, of one file or of all, the one with the most bytes first.

        Parameters
        ----------
        path
            The file; all together, if not given.
        function
            Only sites with this function on their stacks: `read_header`, or `unzip!fn@0x13a10`.

        Returns
        -------
        frame of `fmrw.analysis.sites.stacks.REPORT`

        Raises
        ------
        BadInput
            No call sites were recorded, or none has that function.
        """
        from fmrw.session import sites  # noqa: PLC0415 - as above

        return sites.report(self, None if path is None else self.resolve(path), function)

    def functions_by_part(
        self, path: str | os.PathLike[str], described: str | os.PathLike[str] | None = None
    ) -> pl.DataFrame:
        """Tell which function asked for which part of a file's format: "which function read the central directory?".

        Returns
        -------
        frame of `fmrw.analysis.sites.parts.PARTS`
            One row for each part and function.

        Raises
        ------
        BadInput
            No call sites were recorded, or nothing describes the file.
        """
        from fmrw.session import sites  # noqa: PLC0415 - as above

        return sites.by_part(self, self.resolve(path), described)

    def by_program(self, path: str | os.PathLike[str] | None = None) -> pl.DataFrame:
        """Give what each program did with each file, or with one: size, bytes read, share covered, reads, writes, largest gap.

        Returns
        -------
        frame of `fmrw.analysis.summary.BY_PROGRAM`
            One row for each file and program, files by name, programs in the order in which they were done.
        """
        return programs.by_program(self._source, None if path is None else self.resolve(path))

    def coverage_report(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Say which ranges of a file were read, written and never read, in plain values.

        Returns
        -------
        dict
            `path`, `size` (bytes), `read`, `written` and `gaps` (lists of [start, end)), `read_bytes`, `events`
            (their number), `fidelity`: `byte`, or `page` where ranges are whole pages, or None where nothing was requested
            yet; `smallest_request` in bytes: what is "read" was requested, and a program may look at less of it. `mapped`
            (True) is there only where a log of strace shows that the file was mapped: what was read through the map is missing.
        """
        return questions.coverage_report(self, self.resolve(path))

    def gap_report(
        self, path: str | os.PathLike[str], gaps: Iterable[tuple[int, int]] | None = None
    ) -> pl.DataFrame:
        """Describe each range of a file that was never read, the most remarkable first: content, entropy, verdict.

        What is in a gap is looked up in the file itself, if it is still at hand; columns: `fmrw.analysis.gaps.report`. `gaps` are other ranges
        to describe instead, [start, end), such as `~(trace["a"] | trace["b"])`.
        """
        return questions.gap_report(self, self.resolve(path), gaps=gaps)

    def findings(self) -> list[tuple[str, dict[str, Any]]]:
        """Give the most remarkable gap of each of the most read files: paths, each with the first row of `gap_report`.

        A glance: three files, and of each a few MiB. Files in whose gaps no other format begins are left out.
        """
        return questions.findings(self, self.files)

    def crosstab(
        self, path: str | os.PathLike[str], described: str | os.PathLike[str] | None = None
    ) -> pl.DataFrame:
        """Set the ranges a format describes against what was read: one row for each class.

        Parameters
        ----------
        described
            A CSV or JSON with ranges of one's own; without it the format is found in the file's content.

        Raises
        ------
        BadInput
            There is neither a file of ranges nor the content they could be taken from.
        """
        return questions.crosstab(self, self.resolve(path), described)

    @property
    def effects(self) -> pl.DataFrame:
        """What `fmrw probe` found of the bytes of its files, a row per range: `fmrw.trace.effects.EFFECTS`; none without a probe."""
        return effects.read(self.folder)

    def effects_of(self, path: str | os.PathLike[str], *classes: str) -> Run:
        """Give the bytes of a file that a probe put into some classes, as a set.

        Bytes that steer one program and are ignored by another: `a.effects_of(f, "steers") & b.effects_of(f, "ignored")`.
        """
        return questions.effects_of(self, self.resolve(path), classes)

    def effects_by_part(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Count the bytes of each class in each part of the file's format: which fields this parser really checks.

        Raises
        ------
        BadInput
            The file was not probed, or its content is not at hand.
        """
        return questions.effects_by_part(self, self.resolve(path))

    def violations(
        self,
        path: str | os.PathLike[str],
        *,
        reads: Sequence[tuple[int, int]] = (),
        never: Sequence[tuple[int, int]] = (),
        fail_under: float | None = None,
    ) -> list[Violation]:
        """Check what was read of a file, as `fmrw assert` does; an empty list means as expected.

        Parameters
        ----------
        reads, never
            Ranges [start, end) of which every byte, or no byte, must have been read.
        fail_under
            Least share of the file that must have been read, in percent.
        """
        return questions.violations(self, self.resolve(path), reads=reads, never=never, fail_under=fail_under)

    def runs(self, path: str | os.PathLike[str]) -> dict[str, Run]:
        """Give what each process read of a file, as sets: `runs["unzip"] - runs["pdftotext"]`."""
        from fmrw.analysis import compare  # noqa: PLC0415 - numpy, for a question that few ask

        return compare.runs_by_process(self.of(path), self.size(path))

    def differential(self, path: str | os.PathLike[str]) -> pl.DataFrame:
        """Cut a file where who read it changes: `start`, `end`, `length`, `readers`, `count`, and a column for each process.

        `chart(path, "differential")` draws it. Columns: `fmrw.analysis.compare.differential`.

        Raises
        ------
        BadInput
            Nobody read the file.
        """
        from fmrw.analysis import compare  # noqa: PLC0415 - few questions compare

        return compare.differential(self.runs(path))

    def run(self, path: str | os.PathLike[str], name: str | None = None) -> Run:
        """Give what was read of a file, by whomever, as one set."""
        from fmrw.analysis import compare  # noqa: PLC0415 - numpy, for a question that few ask

        return compare.Run.of(self.of(path), name or self.resolve(path), self.size(path))

    def __getitem__(self, process: str) -> Run:
        """Give what a process read of the only file it read: `trace["unzip"] & trace["pdftotext"]`.

        Raises
        ------
        UnknownPath
            No such process, or it read several files: `trace.runs(PATH)` chooses one.
        """
        from fmrw.analysis import compare  # noqa: PLC0415 - numpy, for a question that few ask

        path = programs.only_file(self._source, process)
        events = self.of(path).filter(pl.col("process") == process)
        return compare.Run.of(events, process, self.size(path))

    def chart(self, path: str | os.PathLike[str], name: str = "heatmap", **options: Any) -> LayerChart:  # noqa: ANN401 - the chart's own
        """Draw a chart of one file: heatmap, strip, timeline, lanes, access-order, entropy, crosstab, differential or effects.

        Parameters
        ----------
        path, name
            File and chart.
        **options
            `look` (`fmrw.preset`), `annotations` as tuples (start, end, name), and the chart's own, such as `functions=True` (timeline, access-order,
            lanes: coloured by the functions that asked, where call sites were recorded).
        """
        from fmrw.session import charts  # noqa: PLC0415 - altair takes a second to import

        return charts.chart(self, self.resolve(path), name, **options)

    def heatmap(self, path: str | os.PathLike[str], **options: Any) -> LayerChart:  # noqa: ANN401 - the chart's own
        """Draw the file as a square grid, coloured by how often the most-touched byte of each cell was touched."""
        return self.chart(path, "heatmap", **options)

    def annotations(self, path: str | os.PathLike[str]) -> tuple[Annotation, ...]:
        """Give the named ranges of a file, as `annotate` kept them; a session keeps them in its folder."""
        name, folder = self._called(path), self.folder
        kept = self._marked.get(name)
        return kept if kept is not None else notes.read(folder, name) if folder is not None else ()

    def named(self, path: str | os.PathLike[str], *texts: str) -> list[Annotation]:
        """Give ranges to mark in a chart: `trace.named("a.zip", "ZIP end record", "0x1c0-0x2000=cavity")`.

        Raises
        ------
        BadRange
            Neither a range nor the name of a part of the file's format; the message lists parts.
        """
        return questions.marked_ranges(self, self.resolve(path), texts)

    def annotate(self, path: str | os.PathLike[str], annotations: Sequence[Annotation]) -> None:
        """Keep the named ranges of a file instead of those before: `[(0x1c0, 0x800, "cavity")]`.

        Raises
        ------
        SessionError
            The session's folder is gone or cannot be written; they are kept in this trace all the same.
        """
        marked = tuple(Annotation(*each) for each in annotations)
        name = self._called(path)
        self._marked[name] = marked
        if (folder := self.folder) is not None:
            notes.write(folder, name, marked)

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
        marked = {**notes.everything(self.folder), **self._marked}
        saving.save(
            target,
            self.events,
            processes=self.processes,
            sites=self.sites,
            facts=self.facts,
            marked=marked,
            found=self.effects,
        )
        return target

    def __repr__(self) -> str:
        """Say what was recorded."""
        known = merged_ranges(self._source)
        count, paths = known["events"].sum(), known["path"].n_unique()
        where = f" of {visible(str(self.root))}" if self.root else ""
        return f"<fmrw.Trace{where}: {count:,} events on {paths:,} files>"
