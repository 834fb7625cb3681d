"""Comparison: two or more programs or recordings against each other; what only one requested, what all, what several, what nobody.

    view.compare = ("unzip", "python3")               # programs of this recording, by name, pid or pair
    view.compare = (trace, ("patched", other))        # recordings of the same file, with labels of one's own

The file is cut where who touched it changes (`fmrw.analysis.compare.differential`), so each byte belongs to one class. A bin of several bytes has the colour
of the class that has most of them; the tracks below show each class by itself, down to the last byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from fmrw.analysis import compare
from fmrw.analysis.index.cover import Cover
from fmrw.errors import BadInput
from fmrw.explorer.filters import Choice
from fmrw.explorer.palette import SEVERAL, UNREAD, program_keys
from fmrw.explorer.recorded_file import RecordedFile
from fmrw.text import visible
from fmrw.trace.exactness import nobody_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fmrw.explorer.trace_protocol import Recording

MOST = 12
"""Sides that can be told apart."""


Opener = Callable[[Any, str], "tuple[Recording, str]"]
"""Opens another recording by its name, and says in what its file of a path differs, or ""."""


class Comparing(Protocol):
    """What compares; `view.View` is one."""

    opener: Opener | None
    compare: Any
    problem: str

    @property
    def recorded(self) -> RecordedFile:
        """The file."""


class Side(NamedTuple):
    """Some processes of a recording of the file (None: all), and what they are called."""

    label: str
    recorded: RecordedFile
    pairs: tuple[tuple[int, str], ...] | None = None


class Class(NamedTuple):
    """Bytes that the same sides touched."""

    label: str
    key: str
    cover: Cover


def sides(recorded: RecordedFile, wanted: Sequence[Any] | None) -> tuple[Side, ...]:
    """Find those that are meant: programs of a file's recording, or other recordings of it.

    Parameters
    ----------
    wanted
        Names of programs, pids, pairs (pid, name), traces, or pairs (label, trace). None: all programs of the recording.

    Raises
    ------
    BadInput
        Fewer than two, more than `MOST`, or two of one name.
    UnknownPath
        A program did not touch the file, or a recording knows no such file.
    """
    asked = list(recorded.programs)[:MOST] if wanted is None else list(wanted)
    found = tuple(
        each if isinstance(each, Side) else _side(recorded, each, number)
        for number, each in enumerate(asked, 1)
    )
    if wanted is not None and not 1 < len(found) <= MOST:
        raise BadInput(f"{len(found)} cannot be compared: give 2 to {MOST} programs or recordings")
    if len({each.label for each in found}) < len(found):
        raise BadInput("two of those to compare have one name: give recordings as pairs (label, trace)")
    return found


def compare_with(view: Comparing, name: object) -> None:
    """Take another recording of the file into a view's comparison, by whatever the view's `opener` takes; this recording first, where nobody was compared.

    Raises
    ------
    SessionError, UnknownPath
        There is no such recording, or it knows no such file.
    BadInput
        The view has no `opener`.
    """
    if view.opener is None:
        raise BadInput("this view opens no other recordings: show it by `fmrw.view`, or set `view.compare`")
    trace, told = view.opener(name, view.recorded.path)
    before = view.compare or (("this recording", view.recorded.trace),)
    label = PurePath(name).name if isinstance(name, str | os.PathLike) else ""
    view.compare = (*before, (label or f"recording {len(before) + 1}", trace))
    view.problem = told


def _side(recorded: RecordedFile, wanted: Any, number: int) -> Side:  # noqa: ANN401 - what a user writes
    if isinstance(wanted, tuple) and len(wanted) == 2 and hasattr(wanted[1], "lazy"):  # noqa: PLR2004 - a label and a trace
        return Side(visible(str(wanted[0])), _same_file(recorded, wanted[1]))
    if hasattr(wanted, "lazy"):
        folder = getattr(wanted, "folder", None)
        return Side(visible(folder.name) if folder else f"recording {number}", _same_file(recorded, wanted))
    pairs = recorded.pairs((wanted,)) or ()
    name = visible(str(pairs[0][1] if len({name for _, name in pairs}) == 1 else wanted))
    return Side(name if isinstance(wanted, str) else f"{name} [{pairs[0][0]}]", recorded, pairs)


def _same_file(recorded: RecordedFile, trace: Any) -> RecordedFile:  # noqa: ANN401 - a `Recording`
    return recorded if trace is recorded.trace else RecordedFile(trace, recorded.path)


def classes(recorded: RecordedFile, compared: Sequence[Side], op: str) -> list[Class]:
    """Divide the bytes of a file among those who touched them; remembered until events come.

    Parameters
    ----------
    op
        "read" or "write".
    """
    versions = tuple((each.label, each.pairs, id(each.recorded), each.recorded.version) for each in compared)
    found: list[Class] = recorded.remembered(
        ("compared", op, versions, recorded.size), lambda: _classes(recorded, compared, op)
    )
    return found


def _classes(recorded: RecordedFile, compared: Sequence[Side], op: str) -> list[Class]:
    size = recorded.size
    nobody = nobody_text(
        mapped=any(each.mapped for each in (recorded, *(side.recorded for side in compared)))
    )
    runs = {
        each.label: compare.Run.of(each.recorded.touched(Choice(op, each.pairs)), each.label, size)
        for each in compared
    }
    if not runs or not size:
        return [
            Class(
                nobody,
                UNREAD,
                _cover(pl.DataFrame({"start": [0], "end": [size]}).filter(pl.col("end") > 0)),
            )
        ]
    pieces = compare.differential(runs)
    count, keys = pl.col("count"), _keys(recorded, compared)
    few = len(runs) == 2  # noqa: PLR2004 - both
    made = [
        Class(f"only {label}", keys[label], _cover(pieces.filter(count == 1, pl.col("readers") == label)))
        for label in runs
    ]
    if len(runs) > 2:  # noqa: PLR2004 - as above
        made.append(Class("several", SEVERAL, _cover(pieces.filter(count > 1, count < len(runs)))))
    if len(runs) > 1:
        made.append(Class("both" if few else "all", "faint", _cover(pieces.filter(count == len(runs)))))
    return [*made, Class(nobody, UNREAD, _cover(pieces.filter(count == 0)))]


def _keys(recorded: RecordedFile, compared: Sequence[Side]) -> Mapping[str, str]:
    """Give each side its colour: a program's own, another one for a recording."""
    named = {each.label: each.pairs[0][1] if each.pairs else each.label for each in compared}
    known = program_keys({*recorded.trace.programs, *recorded.programs, *named.values()})
    keys = {label: known[name] for label, name in named.items()}
    return (
        keys if len(set(keys.values())) == len(keys) else program_keys(named)
    )  # two processes of one program


def _cover(pieces: pl.DataFrame) -> Cover:
    return Cover.of(pieces["start"].to_numpy(), pieces["end"].to_numpy())


def largest(found: Sequence[Class], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the number, from 1 on, of the class that has most bytes of each bin; the first of several."""
    held = [np.diff(each.cover.below(edges)) for each in found]
    return np.asarray(np.where(np.diff(edges) > 0, np.argmax(held, axis=0) + 1, 0), np.int64)
