"""Findings: what the page and the chart ask of a survey; `results.Survey` gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fmrw.experiments.survey.plan import Plan


class Findings(Protocol):
    """A survey's answers; see `fmrw.experiments.survey.results.Survey`."""

    plan: Plan

    @property
    def parsers(self) -> Sequence[str]:
        """The parsers' names."""

    @property
    def runs(self) -> pl.LazyFrame:
        """A row for each file and parser."""

    @property
    def extents(self) -> pl.LazyFrame:
        """The ranges that each parser read of each file."""

    @property
    def summary(self) -> pl.DataFrame:
        """A row for each parser."""

    @property
    def effects_by_class(self) -> pl.DataFrame:
        """A row for each parser and class of bytes."""

    @property
    def maps(self) -> pl.DataFrame:
        """A row for each parser with which files were probed."""

    @property
    def matrix(self) -> pl.DataFrame:
        """A row for each pair of parsers."""

    def disagreements(self, most: int = ...) -> pl.DataFrame:
        """Give the files on which parsers disagree."""

    def clusters(self, most: int = ...) -> pl.DataFrame:
        """Group files."""

    def tails(self, most: int = ...) -> pl.DataFrame:
        """Give files with unread bytes behind their format."""
