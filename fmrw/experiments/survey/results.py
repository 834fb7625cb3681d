"""Results: what a survey found, as frames and answers."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis.effects import CLASSES
from fmrw.errors import SessionError, UnknownPath
from fmrw.experiments.survey import rows
from fmrw.experiments.survey.plan import Folder, Plan
from fmrw.experiments.survey.rows import ACCEPTED, FAILED, VERDICTS
from fmrw.text import path_text, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import altair as alt

    from fmrw.figures.theme import Look
    from fmrw.session.trace import Trace

_LANES = 8
_MOST = 100


class Survey:
    """What every parser did with every file.

    Parameters
    ----------
    folder : path
        Where `fmrw.survey` kept it; it may still be growing.

    Raises
    ------
    SessionError
        There is no survey.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Folder(folder)
        self.plan: Plan = self._folder.plan()

    def __repr__(self) -> str:
        """Say how much there is."""
        done = len(self._folder.finished(self.plan))
        state = "" if done == self.plan.parts else f", {done:,} of {self.plan.parts:,} parts done"
        return f"<Survey of {self.plan.count:,} files by {', '.join(self.parsers)}{state}>"

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self._folder.path

    @property
    def parsers(self) -> list[str]:
        """The parsers' names, in the order in which they were given."""
        return list(self.plan.parsers)

    # Frames

    @property
    def runs(self) -> pl.LazyFrame:
        """A row for each file and parser that are done (columns: `parser`, and those of `fmrw.experiments.survey.rows.RUNS`)."""
        return self._scan("runs", rows.RUNS)

    @property
    def extents(self) -> pl.LazyFrame:
        """The ranges that each parser read of each file, merged (`parser`, and the columns of `…rows.EXTENTS`)."""
        return self._scan("extents", rows.EXTENTS)

    @property
    def effects(self) -> pl.LazyFrame:
        """What the bytes of each file do to each parser (`parser`, and the columns of `…rows.EFFECTS`); no rows in a survey without `probe`."""
        return self._scan("effects", rows.EFFECTS)

    @property
    def files(self) -> pl.LazyFrame:
        """The files as they were listed (columns: `…rows.FILES`)."""
        return pl.scan_parquet(self.folder / "files" / "*.parquet", hive_partitioning=False)

    def _scan(self, table: str, schema: pl.Schema) -> pl.LazyFrame:
        if not any((self.folder / table).glob("*/*.parquet")):
            return pl.LazyFrame(schema={**schema, "parser": pl.String()})
        return pl.scan_parquet(
            self.folder / table / "*" / "*.parquet", hive_partitioning=True, hive_schema={"parser": pl.String}
        )

    # Answers

    @cached_property
    def summary(self) -> pl.DataFrame:
        """One row for each parser: `runs`, how many there are of each verdict, median share read, median seconds, changed files."""
        verdicts = [(pl.col("verdict") == each).sum().cast(pl.Int64).alias(each) for each in VERDICTS]
        order = pl.DataFrame({"parser": self.parsers, "order": range(len(self.parsers))})
        found = self.runs.group_by("parser").agg(
            pl.len().cast(pl.Int64).alias("runs"), *verdicts, pl.col("share").median().alias("median_share"), pl.col("seconds").median().alias("median_seconds"),
            pl.col("changed").sum().cast(pl.Int64),
        )  # fmt: skip
        return order.join(found.collect(), on="parser", how="left").sort("order").drop("order")

    @cached_property
    def effects_by_class(self) -> pl.DataFrame:
        """Count the bytes of each class, for each parser.

        `parser`; `class` (null: not settled); `files` with such bytes; `bytes`; `share` of the bytes of all files that were probed. In the order of
        the parsers and of the classes (`fmrw.analysis.effects.CLASSES`), those not settled last; no rows in a survey without `probe`.
        """
        length = (pl.col("end") - pl.col("start")).sum()
        found = self.effects.group_by("parser", "class").agg(
            pl.col("file").n_unique().cast(pl.Int64).alias("files"), length.alias("bytes")
        )
        shared = found.with_columns((pl.col("bytes") / pl.col("bytes").sum().over("parser")).alias("share"))
        order = pl.col("class").replace_strict(CLASSES, range(len(CLASSES)), return_dtype=pl.Int64)
        return self._ordered(shared.sort(order, nulls_last=True).collect())

    @cached_property
    def maps(self) -> pl.DataFrame:
        """One row for each parser with which files were probed: `parser`, `files`, how many of their maps are `complete`, their `bytes`, and the `runs` made."""
        each = self.effects.group_by("parser", "file").agg(pl.col("complete", "size", "runs").first())
        found = each.group_by("parser").agg(
            pl.len().cast(pl.Int64).alias("files"), pl.col("complete").sum().cast(pl.Int64), pl.col("size").sum().alias("bytes"), pl.col("runs").sum(),
        )  # fmt: skip
        return self._ordered(found.collect())

    def verdicts(self) -> pl.DataFrame:
        """Give the files that some parsers accept and others do not, the most evenly divided first.

        Returns
        -------
        frame
            `file`, `size`, `accepted`, `rejected` (numbers of parsers; who was not run counts nowhere), `accepted_by`, `rejected_by` (their names),
            `verdicts` (what those others said).
        """
        from fmrw.experiments.survey.compare import divided  # noqa: PLC0415 - numpy

        yes = pl.col("verdict") == ACCEPTED
        ran = self.runs.filter(pl.col("verdict") != FAILED).select("file", "size", "parser", "verdict")
        told = (
            ran.join(divided(self._folder, self.plan).lazy(), on="file", how="semi")
            .group_by("file")
            .agg(
                pl.col("size").first(),
                yes.sum().cast(pl.Int64).alias("accepted"),
                (~yes).sum().cast(pl.Int64).alias("rejected"),
                pl.col("parser").filter(yes).sort().str.join(", ").alias("accepted_by"),
                pl.col("parser").filter(~yes).sort().str.join(", ").alias("rejected_by"),
                pl.col("verdict").filter(~yes).unique().sort().str.join(", ").alias("verdicts"),
            )
        )
        least = pl.min_horizontal("accepted", "rejected")
        columns = ["file", "size", "accepted", "rejected", "accepted_by", "rejected_by", "verdicts"]
        return told.sort(least, "file", descending=[True, False]).select(columns).collect()

    @cached_property
    def _agreement(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        from fmrw.experiments.survey.compare import compared  # noqa: PLC0415 - numpy

        return compared(self._folder, self.plan)

    @property
    def matrix(self) -> pl.DataFrame:
        """One row for each pair of parsers.

        `a`, `b`; on how many `files` both were run, on which share of them their verdicts are the `same`; how many bytes `both` read,
        `only_a`, `only_b`; and the share of the bytes that either read which both did (`jaccard`; null: neither read any).
        """
        return self._agreement[0]

    @property
    def bytes(self) -> pl.DataFrame:
        """The files of which two parsers read different bytes, those first of which that is the largest share.

        `file`, `size`; `union`, `common`: bytes read by any, by all; `reader`, `other`: the two parsers that differ most; `only`: bytes that the
        first read and the second never did.
        """
        return self._agreement[1]

    def disagreements(self, most: int = _MOST) -> pl.DataFrame:
        """Give the files on which parsers disagree, the most remarkable first.

        First come those that some accept and others do not, the most evenly divided first; among equals, and then among all others, those of which one
        parser reads the largest share that another never does.

        Parameters
        ----------
        most : int
            Rows.

        Returns
        -------
        frame
            The columns of `verdicts`, null where all verdicts are alike, and of `bytes`, null where all bytes are.
        """
        found = self.verdicts().join(self.bytes, on="file", how="full", coalesce=True)
        size = pl.coalesce("size", "size_right")
        least = pl.min_horizontal("accepted", "rejected").fill_null(0)
        return (
            found.with_columns(size.alias("size"), (pl.col("only") / size).alias("only_share"))
            .drop("size_right")
            .sort(least, pl.col("only_share").fill_null(0), "file", descending=[True, True, False])
            .head(most)
        )

    def clusters(self, most: int = _MOST) -> pl.DataFrame:
        """Group the files by what each parser said and which eighths of the file it read.

        Returns
        -------
        frame
            `files` (how many), `pattern` (for each parser: verdict and shape, see `…rows.RUNS`), `example` (the first file); the largest first.
        """
        from fmrw.experiments.survey.compare import patterns  # noqa: PLC0415 - numpy

        found = patterns(self._folder, self.plan).sort("files", "example", descending=[True, False])
        return found.head(most).select("files", "pattern", "example")

    def tails(self, most: int = _MOST, candidates: int = 1000) -> pl.DataFrame:
        """Give files with bytes behind the last part of their format that no parser has read.

        Parameters
        ----------
        most : int
            Rows.
        candidates : int
            Files looked at, those with the most bytes that nobody read first; they have to be at hand.

        Returns
        -------
        frame
            `file`, `size`, `format`, `format_end`, `unread` (bytes at or behind `format_end` that nobody read); the most first.
        """
        from fmrw.experiments.survey.tails import tails  # noqa: PLC0415 - reads formats

        return tails(self, candidates).head(most)

    def chart(
        self, files: Sequence[str] | None = None, most: int = 12, look: Look | None = None
    ) -> alt.LayerChart:
        """Draw the chart `survey`: files by parsers, each with its verdict and a strip of what was requested.

        Parameters
        ----------
        files : sequence of str, optional
            Those to show; without it the most remarkable disagreements.
        most : int
            How many of those.
        look : Look, optional
            Size, type and colours, as `fmrw.figures.theme.preset("slide-16x9")`.

        Raises
        ------
        FigureError
            No files, or too many for a figure.
        """
        from fmrw.experiments.survey.drawing import chart  # noqa: PLC0415 - altair
        from fmrw.figures.theme import SCREEN  # noqa: PLC0415 - as above

        chosen = (
            self.disagreements(most)["file"].to_list()
            if files is None
            else [self.name(file) for file in files]
        )
        return chart(self, chosen, SCREEN if look is None else look)

    # One file

    def of(self, file: str | os.PathLike[str]) -> pl.DataFrame:
        """Give the runs of one file.

        Raises
        ------
        UnknownPath
            It is none of the survey's.
        """
        found = self.runs.filter(pl.col("file") == self.name(file)).collect()
        if not found.height:
            raise UnknownPath(
                f"{visible(os.fsdecode(file))} is no file of this survey; `survey.files` has their names."
            )
        return self._ordered(found)

    def name(self, file: str | os.PathLike[str]) -> str:
        """Give the name under which a file stands in the frames, of that or of its own."""
        text = os.fspath(file)
        known = isinstance(text, str) and self.files.filter(pl.col("file") == text).limit(1).collect().height
        return text if known else path_text(os.fsencode(text))

    def _ordered(self, frame: pl.DataFrame) -> pl.DataFrame:
        order = pl.DataFrame({"parser": self.parsers, "order": range(len(self.parsers))})
        return (
            frame.join(order, on="parser", maintain_order="left")
            .sort("order", maintain_order=True)
            .drop("order")
        )

    def trace(self, file: str | os.PathLike[str]) -> Trace:
        """Give what all parsers read of one file as a `Trace`, with each parser as a program: for `gaps`, `explore`, `chart(path, "lanes")`.

        The ranges are the merged ones, in the order of the file: in which order a parser read them is not kept.
        """
        from fmrw.experiments.survey.tracing import trace  # noqa: PLC0415 - the rooms below

        name = self.name(file)
        runs = self.of(name)
        extents = self._ordered(self.extents.filter(pl.col("file") == name).collect())
        return trace(self.plan, runs, extents)

    # A page

    def report(self, to: str | os.PathLike[str] | None = None, most: int = _MOST) -> Path:
        """Write the report, one HTML file that needs no network.

        Parameters
        ----------
        to : path
            The file; `report.html` in the survey's folder.
        most : int
            Rows of each table.
        """
        from fmrw.experiments.survey.page import write  # noqa: PLC0415 - heavy

        if not self._folder.finished(self.plan):
            raise SessionError(
                f"{visible(str(self.folder))} has no results yet; wait, or go on with the survey."
            )
        return write(self, self.folder / "report.html" if to is None else to, most)
