"""Probed: what altering each byte of the file does to a program, as a probe found it and kept it in the session (`Trace.effects`).

A bin of several bytes has the class that matters most, so that the one byte of many that steers is seen from far away. Filters change nothing here: the
classes were found by runs of their own. What was kept and cannot be read is left out of the picture, and `reason` says so.
"""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.effects import CLASSES, UNSETTLED
from fmrw.analysis.index.cover import Cover
from fmrw.errors import SessionError
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fmrw.explorer.trace_protocol import Recording

RANKED = (UNSETTLED, *CLASSES[1:])
"""The classes by their numbers, from 1 on, what matters most last; what the program never read has 0, as bytes that nobody touched."""

KEYS = ("faint", "i", *(f"p{number}" for number in range(len(CLASSES) - 2)))
"""The palette's key of each: greys for what does not matter, the colours of programs for what does, as in `fmrw.figures.effects`."""

_COLUMNS = ("command", "start", "end", "class", "values", "effect")
_VALUES, _NAMED = 4, 6  # values and classes told at once


class Probed:
    """What is known of the bytes of one file.

    Attributes
    ----------
    commands : tuple of str
        The probed programs; none where the file was not probed.
    reason : str
        Why nothing is known, or "".
    """

    def __init__(self, found: pl.DataFrame, reason: str = "") -> None:
        valid = found.filter(pl.col("start") >= 0, pl.col("end") > pl.col("start"))
        self._found = valid.with_columns(pl.col("class").fill_null(UNSETTLED))
        self.commands = tuple(self._found["command"].unique(maintain_order=True).to_list())
        self.reason = reason
        self._covers = {command: self._held(command) for command in self.commands}

    @classmethod
    def of(cls, trace: Recording, path: str) -> Probed:
        """Read what a recording knows of a file."""
        try:
            found = trace.effects.filter(pl.col("path") == path).select(_COLUMNS)
            return cls(found)
        except (SessionError, pl.exceptions.PolarsError) as error:
            return cls(pl.DataFrame(schema=_EMPTY), visible(str(error)))

    def _held(self, command: str) -> list[Cover]:
        own = self._found.filter(pl.col("command") == command)
        sets = [ranges.merge(own.filter(pl.col("class") == name).select("start", "end")) for name in RANKED]
        return [Cover.of(each["start"].to_numpy(), each["end"].to_numpy()) for each in sets]

    @property
    def present(self) -> list[tuple[str, str]]:
        """The classes that the file has, with their keys, what matters least first."""
        names = set(self._found["class"])
        return [pair for pair in zip(KEYS, RANKED, strict=True) if pair[1] in names]

    def numbers(self, edges: NDArray[np.int64], command: str | None = None) -> NDArray[np.int64]:
        """Give the number of the class that matters most in each bin, to one program or to any."""
        found = np.zeros(len(edges) - 1, np.int64)
        for each in self.commands if command is None else (command,):
            for number, cover in enumerate(self._covers[each], 1):
                held = np.diff(cover.below(edges)) > 0
                found = np.maximum(found, held * number)
        return found

    def told(self, start: int, end: int) -> list[str]:
        """Say what altering the bytes [start, end) does, a text for each program."""
        inside = self._found.filter(pl.col("start") < end, pl.col("end") > start)
        texts = []
        for command in self.commands:
            own = inside.filter(pl.col("command") == command)
            if own.height:
                said = _one(own) if own.height == 1 else _several(own, start, end)
                texts.append(f"{visible(command)}: {said}" if len(self.commands) > 1 else said)
        return texts


_EMPTY = pl.Schema(
    {
        "command": pl.String(), "start": pl.Int64(), "end": pl.Int64(), "class": pl.String(), "values": pl.List(pl.Int64()), "effect": pl.String(),
    }
)  # fmt: skip


def _one(own: pl.DataFrame) -> str:
    name, values, effect = own.select("class", "values", "effect").row(0)
    shown = _hexadecimal(values or ())
    said = f" by {shown}" if shown else ""
    return visible(f"{name}{said}" + (f": {effect}" if effect else ""))


def _hexadecimal(values: Sequence[int]) -> str:
    more = " …" if len(values) > _VALUES else ""
    return " ".join(f"{value:02x}" for value in values[:_VALUES]) + more


def _several(own: pl.DataFrame, start: int, end: int) -> str:
    """Count the bytes of each class, what matters most first."""
    size = pl.min_horizontal("end", pl.lit(end)) - pl.max_horizontal("start", pl.lit(start))
    counted = dict(own.group_by("class").agg(size.sum()).iter_rows())
    order = {name: number for number, name in enumerate(("unread", *RANKED))}
    names = sorted(counted, key=lambda name: order.get(name, -1), reverse=True)
    parts = list(starmap("{} {:,}".format, ((visible(name), counted[name]) for name in names[:_NAMED])))
    return "bytes by class: " + ", ".join(parts)
