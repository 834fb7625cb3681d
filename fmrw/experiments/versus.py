"""Versus: one file by two commands: both maps, and where they part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.analysis import effects
from fmrw.experiments.probe import Probe, probe
from fmrw.text import name_text

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence


@dataclass(frozen=True)
class Versus:
    """What two commands make of one file.

    Attributes
    ----------
    a, b : Probe
    """

    a: Probe
    b: Probe

    @property
    def ranges(self) -> pl.DataFrame:
        """Ranges in order that cover the file, with the class of each command: `start`, `end`, `a`, `b`; null where it is not settled."""
        return effects.side_by_side(_settled(self.a), _settled(self.b))

    @property
    def settled(self) -> pl.DataFrame:
        """Those ranges that both commands have settled."""
        return self.ranges.drop_nulls(["a", "b"])

    @property
    def differential(self) -> pl.DataFrame:
        """Those of the settled ranges in which the classes differ."""
        return self.settled.filter(pl.col("a") != pl.col("b"))

    def json(self) -> dict[str, Any]:
        """Give all of it as JSON has it."""
        return {
            "path": name_text(self.a.path),
            "size": self.a.size,
            "a": self.a.json(),
            "b": self.b.json(),
            "ranges": self.ranges.to_dicts(),
        }


def _settled(found: Probe) -> pl.DataFrame:
    """Give a map as a frame, with null for the class of what is not settled."""
    known = pl.Series([each.settled for each in found.map], dtype=pl.Boolean())
    return found.ranges.with_columns(pl.when(known).then("class").alias("class"))


def probe_both(
    path: str | os.PathLike[str],
    a: Sequence[str],
    b: Sequence[str],
    *,
    output: str | os.PathLike[str] | None = None,
    **options: Any,  # noqa: ANN401 - those of `probe`
) -> Versus:
    """Probe one file with two commands, one after the other.

    Parameters
    ----------
    path, a, b
        The file; two commands with `{}` for it.
    output : path, optional
        A folder for both, `a` and `b` in it.
    **options
        Of `fmrw.probe`.
    """
    first, second = (
        probe(path, command, output=None if output is None else Path(output) / name, **options)
        for name, command in (("a", a), ("b", b))
    )
    return Versus(first, second)
