"""Runs of a figure: what the lane of a program or a recording is called, and in which colour it is drawn.

A run is called after its process, "7z [4711]", after its recording, or as its caller likes. Its colour is that of the program.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fmrw.figures.programs import program_colours

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fmrw.figures.page import About
    from fmrw.figures.theme import Look

_PID = re.compile(r" \[\d+\]$")


def program_of(run: str) -> str:
    """Give the program of a run: "7z [4711]" is "7z"."""
    return _PID.sub("", run)


def run_colours(runs: Iterable[str], about: About, look: Look) -> dict[str, str]:
    """Give each run the colour of its program, settled among all programs of the recording."""
    names = {run: program_of(run) for run in runs}
    colours = program_colours({*about.programs, *names.values()}, look.palette)
    return {run: colours[name] for run, name in names.items()}


def run_labels(runs: Iterable[str], commands: Mapping[str, str]) -> dict[str, str]:
    """Give each run its command line, where that is known; runs of one command line keep their own names behind it."""
    names = list(runs)
    known = [commands.get(name) or name for name in names]
    return {
        name: command if known.count(command) == 1 else f"{command} {_pid(name)}".strip()
        for name, command in zip(names, known, strict=True)
    }


def _pid(run: str) -> str:
    found = _PID.search(run)
    return found[0].strip() if found else ""
