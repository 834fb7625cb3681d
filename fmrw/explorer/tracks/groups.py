"""Groups: whose lanes the tracks have, and in which colours the plane marks accesses; programs, or functions where bytes are coloured by these."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fmrw.explorer.callsites import NONE, OTHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from fmrw.explorer.recorded_file import RecordedFile

LANES = 6
"""Programs or functions that get a lane of their own."""

_OTHER = "n"  # key of programs without a lane


class Groups(NamedTuple):
    """Who the sampled accesses are of.

    Attributes
    ----------
    lanes : list of (label, key of the palette)
        In order.
    lane : array
        The place of each access among `lanes`; their number for others.
    more : int
        Groups without a lane.
    keys : list of str
        The colours in the plane.
    colour : array
        The place of each access's among `keys`.
    """

    lanes: list[tuple[str, str]]
    lane: NDArray[np.int64]
    more: int
    keys: list[str]
    colour: NDArray[np.int64]


def by_program(recorded: RecordedFile, rows: pl.DataFrame) -> Groups:
    """Group accesses by the programs that did most; those without a lane have one colour."""
    keys = recorded.program_keys
    chosen = _most(dict(rows["process"].value_counts().iter_rows()), list(keys))
    lane = np.full(rows.height, len(chosen), np.int64)
    for number, name in enumerate(chosen):
        lane[(rows["process"] == name).to_numpy()] = number
    lanes = [(_label(name, recorded.programs[name]), keys[name]) for name in chosen]
    return Groups(lanes, lane, len(keys) - len(chosen), [*(key for _, key in lanes), _OTHER], lane)


def by_function(recorded: RecordedFile, rows: pl.DataFrame) -> Groups:
    """Group accesses by the functions that made most of them; all are coloured as their bytes are, also those without a lane."""
    asked = recorded.call_sites
    keys = {**asked.keys, "": NONE}
    sites, whose, counts = np.unique(rows["site"].fill_null(0).to_numpy(), return_inverse=True, return_counts=True)  # fmt: skip
    names = [asked.called(site) for site in sites.tolist()]
    made: dict[str, int] = {}
    for name, count in zip(names, counts.tolist(), strict=True):
        made[name] = made.get(name, 0) + count
    chosen = _most(made, [name for name in keys if name in made])
    inks = list(dict.fromkeys([*keys.values(), OTHERS]))
    lane = np.array([chosen.index(name) if name in chosen else len(chosen) for name in names], np.int64)
    colour = np.array([inks.index(keys.get(name, OTHERS)) for name in names], np.int64)
    lanes = [(name.rpartition("!")[2] or "not known", keys[name]) for name in chosen]
    return Groups(lanes, lane[whose], len(made) - len(chosen), inks, colour[whose])


def _most(counts: Mapping[str, int], names: list[str]) -> list[str]:
    """Give the names of those that did most, in the order of all; where there are few, all."""
    if len(names) <= LANES:
        return names
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return [name for name in names if name in ranked[:LANES]]


def _label(name: str, processes: tuple[tuple[int, str], ...]) -> str:
    """Name a program: its only process, or how many it had."""
    return f"{name} [{processes[0][0]}]" if len(processes) == 1 else f"{name}, {len(processes)} times"
