"""Mapping: what the bytes of one file do to one parser, found by `fmrw.experiments.search` with a bounded number of runs.

The runs are made under the mount of the survey, with its block size, so that what is `unread` here was not requested there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.errors import BadInput
from fmrw.experiments.bench import Bench, Budget
from fmrw.experiments.classes import Range, ranges
from fmrw.experiments.search import Search
from fmrw.experiments.survey.rows import FAILED, HUNG
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import FileIO

    from fmrw.experiments.jobs import Limits
    from fmrw.experiments.runs import Runs

LEAST = 16
"""Fewest runs that are worth a map: five are on the unaltered file."""


class Map(NamedTuple):
    """The ranges of a file, in order and without overlap, that cover it; how many runs they took, and whether all is known."""

    ranges: list[Range]
    runs: int
    complete: bool

    def json(self) -> dict[str, Any]:
        """Give it as the spool has it."""
        return {"ranges": [each.json() for each in self.ranges], "runs": self.runs, "complete": self.complete}


def not_mapped(why: str, size: int | None) -> Map:
    """Give the map of a file that could not be probed: nothing was tried."""
    return Map([Range(0, size, None, [], f"not probed: {visible(why)}")] if size else [], 0, complete=False)


def why_not(run: Mapping[str, Any]) -> str | None:
    """Say why a map of a file would be of no use, from the row of its run; None: it is of use."""
    if run["verdict"] in (FAILED, HUNG):
        return run["error"] or "the program does not end in time on the unaltered file"
    return "the file has changed" if run["changed"] else None


def mapped(runs: Runs, path: bytes, command: Sequence[str], *, most: int, limits: Limits) -> Map:
    """Find what the bytes of a file do to a command.

    Parameters
    ----------
    runs : Runs
        Over a directory that holds the file.
    path : bytes
        The file, real and absolute.
    command : sequence of str
        With the file's name in its place; it may fail on the unaltered file.
    most : int
        Runs, those on the unaltered file included. Where they do not suffice, the rest has no class. Runs that go on for too long are
        made once more, so that a few more may be made.
    limits : Limits
        Of each run on the unaltered file; those on altered ones get less time, by what the unaltered one took.

    Returns
    -------
    Map
        Where the file changed meanwhile it is of no use; whoever asks has to look.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return not_mapped(error.strerror or str(error), None)
    with os.fdopen(descriptor, "rb", buffering=0) as content:
        size = os.fstat(descriptor).st_size
        if not size:
            return Map([], 0, complete=True)
        file = Path(os.fsdecode(path))
        try:
            bench = Bench(runs, file, command, budget=Budget(runs=most), any_status=True, unaltered=limits)
            return _searched(bench, content, size)
        except (BadInput, OSError) as error:
            return not_mapped(str(error), size)


def _searched(bench: Bench, content: FileIO, size: int) -> Map:
    def read(start: int, end: int) -> bytes:
        return os.pread(content.fileno(), end - start, start).ljust(end - start, b"\0")  # it may shrink

    found = Search(bench, read).run()
    present = {byte: read(byte, byte + 1)[0] for byte in found.values}
    return Map(ranges(found, bench.reference, size, present), bench.count, found.complete)
