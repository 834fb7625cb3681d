"""Colouring: by what bytes are coloured, in the overview, the grid and the strips of reads and writes.

    by count     how often the byte of a bin that was touched most often was touched
    by program   who touched it, where that was one program; a colour of its own where there were several
    by compare   who alone of those compared touched it, or all of them, or nobody (`comparison`)
    by function  which code asked, where call sites were recorded (`callsites`)
    by class     what altering it does to a program, where the file was probed (`probed`)

**Another one** is a class with the three methods of `Colouring`, added to `COLOURINGS` under the name that
`State.colour` and the toolbar's "look" offer (`state.COLOURS`). It gets a `Question`, asks the recorded file for what it needs in any
bins, and numbers them; its keys are those of `palette.colours`. The hex view asks the same class, with bins of one byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np

from fmrw.explorer.callsites import NONE, OTHERS, numbers
from fmrw.explorer.comparison import classes, largest, sides
from fmrw.explorer.palette import SEVERAL, keys_of
from fmrw.explorer.probed import KEYS
from fmrw.figures.classes import Classes, times_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fmrw.analysis.index.cover import Cover
    from fmrw.explorer.filters import Choice
    from fmrw.explorer.probed import Probed
    from fmrw.explorer.recorded_file import RecordedFile
    from fmrw.explorer.state import State
    from fmrw.figures.classes import Scale

Entry = tuple[str, str]
"""A key of the palette, or "" for text alone, and what the legend says."""


class Question(NamedTuple):
    """What is to be coloured: which file, as which filters show it, and all bins of one picture (edges, one more than bins)."""

    recorded: RecordedFile
    state: State
    choice: Choice
    ops: tuple[str, ...]
    edges: Sequence[NDArray[np.int64]]


class Colouring(Protocol):
    """Gives each bin a number, and each number a colour."""

    def numbers(self, edges: NDArray[np.int64], op: str) -> NDArray[np.int64]:
        """Give each bin between consecutive edges a number for one operation: 0 where it touched nothing, else from 1 on."""

    def keys(self, op: str) -> list[str]:
        """Give the palette's key of each number, from 1 on."""

    def entries(self) -> list[Entry]:
        """Say in the legend what the colours mean."""


class ByCount:
    """How often a byte was touched, in five steps that fit the largest count of the picture."""

    def __init__(self, question: Question) -> None:
        self._question = question
        bins = [self._repeats(edges, op) for op in question.ops for edges in question.edges]
        most = max((int(each.max(initial=0)) for each in bins), default=0)
        self._classes = Classes.of(most, cast("Scale", question.state.scale))

    def _repeats(self, edges: NDArray[np.int64], op: str) -> NDArray[np.int64]:
        asked = self._question
        return asked.recorded.repeats(edges, op, asked.choice)

    def numbers(self, edges: NDArray[np.int64], op: str) -> NDArray[np.int64]:
        """Give the class of each bin's count."""
        return self._classes.number(self._repeats(edges, op))

    def keys(self, op: str) -> list[str]:
        """Give the ramp of an operation."""
        return keys_of(self._classes, op)

    def entries(self) -> list[Entry]:
        """Give one entry for each class, of reads and of writes."""
        found = [("", f"times a byte was {times_text(self._question.ops)}")]
        for op in self._question.ops:
            labels = [self._classes.label(number) for number in range(1, len(self._classes.lowest) + 1)]
            labels[0] = f"{op} {labels[0]}"
            found += zip(self.keys(op), labels, strict=True)
        return found


class ByProgram:
    """Which program touched a bin: one of those that did most, another, or several."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._keys = question.recorded.program_keys
        pairs = question.choice.processes
        shown = {name for _, name in question.recorded.processes if pairs is None or any(name == other for _, other in pairs)}  # fmt: skip
        self._names = [name for name in self._keys if name in shown]

    def numbers(self, edges: NDArray[np.int64], op: str) -> NDArray[np.int64]:
        """Give the program's place in order of first access, from 1 on; the number after the last means several."""
        asked, count = self._question, len(self._names)
        found = np.zeros(len(edges) - 1, np.int64)
        for number, name in enumerate(self._names, 1):
            own = asked.choice.of(asked.recorded.programs[name])
            touched = asked.recorded.bins(edges, op, own)["accesses"].to_numpy() > 0
            found = np.where(touched, np.where(found > 0, count + 1, number), found)
        return found

    def keys(self, op: str) -> list[str]:
        """Give the colour of each program, the same for reads and writes."""
        del op
        return [*(self._keys[name] for name in self._names), SEVERAL]

    def entries(self) -> list[Entry]:
        """Name the programs."""
        named = [(self._keys[name], visible(name)) for name in self._names]
        return [("", "touched by"), *named, *([(SEVERAL, "several")] if len(named) > 1 else [])]


class ByComparison:
    """Who of those compared touched a bin: only one, both or all, several, nobody."""

    def __init__(self, question: Question) -> None:
        self._op = "write" if question.choice.ops == "write" else "read"
        compared = sides(question.recorded, question.state.compare)
        self._classes = classes(question.recorded, compared, self._op)

    def numbers(self, edges: NDArray[np.int64], op: str) -> NDArray[np.int64]:
        """Give the place of the class that has most of each bin; of two operations reads are compared."""
        return largest(self._classes, edges) if op == self._op else np.zeros(len(edges) - 1, np.int64)

    def keys(self, op: str) -> list[str]:
        """Give the colour of each class."""
        del op
        return [each.key for each in self._classes]

    def entries(self) -> list[Entry]:
        """Name the classes."""
        past = "read" if self._op == "read" else "written"
        return [("", f"{past} by"), *((each.key, each.label) for each in self._classes)]


class ByClass:
    """What altering a bin's bytes does to the programs that were probed: the class that matters most."""

    def __init__(self, question: Question) -> None:
        self._probed = question.recorded.probed

    def numbers(self, edges: NDArray[np.int64], op: str) -> NDArray[np.int64]:
        """Give the place of the class among all; writes have none."""
        return self._probed.numbers(edges) if op == "read" else np.zeros(len(edges) - 1, np.int64)

    def keys(self, op: str) -> list[str]:
        """Give the colour of each class."""
        del op
        return list(KEYS)

    def entries(self) -> list[Entry]:
        """Name the classes that the file has."""
        return class_entries(self._probed)


class ByFunction:
    """Which function asked for a bin: one of those that moved most bytes, another, or several."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._sites = question.recorded.call_sites
        self._order = [*dict.fromkeys([*self._sites.keys.values(), OTHERS]), NONE, SEVERAL]
        self._covers = {op: self._covered(op) for op in question.ops}

    def _covered(self, op: str) -> Mapping[str, Cover]:
        recorded, choice = self._question.recorded, self._question.choice._replace(ops=op)
        found: Mapping[str, Cover] = recorded.remembered(
            ("functions", choice), lambda: self._sites.covers(recorded.chosen(choice))
        )
        return found

    def numbers(self, edges: NDArray[np.int64], op: str) -> NDArray[np.int64]:
        """Give the place of the function's colour; the last means several."""
        return numbers(self._covers[op], self._order, edges)

    def keys(self, op: str) -> list[str]:
        """Give the colour of each function, the same for reads and writes."""
        del op
        return self._order

    def entries(self) -> list[Entry]:
        """Name the functions whose bytes are shown."""
        used = {key for covers in self._covers.values() for key in covers}
        names = [(key, visible(name)) for name, key in self._sites.keys.items() if key in used - {OTHERS}]
        more = [(OTHERS, "other functions"), (NONE, "call site not known")]
        several = [(SEVERAL, "several")] if len(used) > 1 else []
        return [("", "asked by"), *several, *names, *(each for each in more if each[0] in used)]


def class_entries(probed: Probed) -> list[Entry]:
    """Name the classes that a file has, for a legend; none where it was not probed."""
    whom = visible(probed.commands[0]) if len(probed.commands) == 1 else f"{len(probed.commands)} programs"
    return [("", f"what altering does to {whom}"), *probed.present] if probed.commands else []


COLOURINGS: Mapping[str, type[ByCount | ByProgram | ByComparison | ByClass | ByFunction]] = {
    "count": ByCount,
    "program": ByProgram,
    "compare": ByComparison,
    "class": ByClass,
    "function": ByFunction,
}
"""Name, one of `state.COLOURS` → class."""
