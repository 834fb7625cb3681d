"""Overview: what a recording holds, summed up once for everything that shows it: tables, JSON, remarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from fmrw.analysis import summary
from fmrw.trace.exactness import maps

if TYPE_CHECKING:
    import polars as pl

    from fmrw.session.trace import Trace


@dataclass(frozen=True)
class Overview:
    """What was done with which files, up to now.

    Attributes
    ----------
    files : frame of `summary.FILES`
        A row for each file.
    programs : frame of `summary.BY_PROGRAM`
        A row for each file and program that did something with it.
    processes : frame of `summary.PROCESSES`
        A row for each process that read or wrote.
    mapped : list of str
        Those of the files that were mapped besides.
    """

    files: pl.DataFrame
    programs: pl.DataFrame
    processes: pl.DataFrame
    mapped: list[str]

    @classmethod
    def of(cls, trace: Trace) -> Self:
        """Sum a recording up."""
        files, known = trace.files, maps(trace.facts)
        mapped = [path for path in files["path"] if path in known]
        return cls(files, trace.by_program(), summary.processes(trace.lazy, trace.processes), mapped)
