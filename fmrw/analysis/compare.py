"""Runs as sets of bytes: what did one parser read that another did not.

A `Run` is the set of bytes that somebody read of one file, with a name; `&`, `|`, `-`, `^` and `~` combine runs, and the names of
the results say how.

Sizes. A run knows the size of its file and shows and counts the bytes below it; what was read at or past it is left out.
Runs of one file may have different sizes, since a file grows: a program that ended before saw less of it. Such a program read
nothing of the rest, so the rest is in its complement, though `~a` alone does not show it; a combination has the larger
size and does: `b & ~a` is `b - a`. Thus `~~a == a`, De Morgan's laws, and `a - b` and `a & b` parting `a` hold
for all sizes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import places, ranges
from fmrw.errors import BadInput
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Places = NDArray[np.int64]

_ATOM, _AND, _XOR, _OR = 4, 3, 2, 1  # how tightly a name binds, as in Python
_COLUMNS = ("start", "end", "length", "readers", "count")
AGREEMENT = pl.Schema(
    {"a": pl.String(), "b": pl.String(), "both": pl.Int64(), "either": pl.Int64(), "jaccard": pl.Float64()}
)
ORDER = pl.Schema(
    {"segments": pl.Int64(), "inversions": pl.Int64(), "distance": pl.Float64(), "parts_at": pl.Int64()}
)


@dataclass(frozen=True, eq=False)
class Run:
    """The bytes of one file that somebody read.

    Parameters
    ----------
    name : str
        Who; results of set operations are named by their formula.
    size : int
        Bytes in the file.
    extents : frame of `start`, `end`
        Sorted ranges within [0, size) that do not touch; use `Run.of` for anything else.
    events : frame or None
        What it was made of, for questions about order; combinations have none.
    """

    name: str
    size: int
    extents: pl.DataFrame
    events: pl.DataFrame | None = field(default=None, repr=False)
    _binds: int = field(default=_ATOM, repr=False)
    _beyond: bool = field(default=False, repr=False)  # whether the bytes from `size` on belong to it

    @classmethod
    def of(cls, events: pl.DataFrame, name: str, size: int) -> Run:
        """Make a run of the reads among events of ONE file (any frame with `start` and `end`)."""
        reads = events.filter(pl.col("op") == "read") if "op" in events.columns else events
        return cls(name, size, _within(ranges.merge(reads), size), reads)

    def __and__(self, other: Run) -> Run:
        """Give the bytes both read."""
        return self._with(other, "&", _AND, ranges.intersect, beyond=self._beyond and other._beyond)

    def __or__(self, other: Run) -> Run:
        """Give the bytes at least one of them read."""
        return self._with(other, "|", _OR, ranges.union, beyond=self._beyond or other._beyond)

    def __sub__(self, other: Run) -> Run:
        """Give the bytes this one read and the other did not."""
        return self._with(other, "-", _AND, ranges.subtract, beyond=self._beyond and not other._beyond)

    def __xor__(self, other: Run) -> Run:
        """Give the bytes exactly one of them read."""
        return self._with(other, "^", _XOR, _either, beyond=self._beyond != other._beyond)

    def __invert__(self) -> Run:
        """Give the bytes of the file it did not read."""
        unread = ranges.complement(self.extents, self.size)
        return Run(f"~{self._named(_ATOM)}", self.size, unread, _beyond=not self._beyond)

    def _with(
        self,
        other: Run,
        sign: str,
        binds: int,
        verb: Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame],
        *,
        beyond: bool,
    ) -> Run:
        if not isinstance(other, Run):
            return NotImplemented
        size = max(self.size, other.size)
        name = f"{self._named(binds)} {sign} {other._named(binds + 1)}"
        return Run(name, size, verb(self.below(size), other.below(size)), None, binds, beyond)

    def _named(self, binds: int) -> str:
        return self.name if self._binds >= binds else f"({self.name})"

    def below(self, size: int) -> pl.DataFrame:
        """Give its extents in a file that has grown to `size` bytes: `start`, `end`."""
        if not self._beyond or size <= self.size:
            return self.extents
        rest = pl.DataFrame([(self.size, size)], schema=ranges.RANGE, orient="row")
        return ranges.union(self.extents, rest)

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same bytes; names and sizes do not count."""
        if not isinstance(other, Run) or self._beyond != other._beyond:
            return False
        size = max(self.size, other.size)
        return self.below(size).equals(other.below(size))

    def __hash__(self) -> int:
        """Agree with `==`: the bytes read, or those not read, are as many in a larger file."""
        return hash((self._beyond, self.size - len(self) if self._beyond else len(self)))

    def __len__(self) -> int:
        """Count the bytes."""
        return int((self.extents["end"] - self.extents["start"]).sum())

    def __bool__(self) -> bool:
        """Tell whether there is a byte."""
        return self.extents.height > 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Give the ranges [start, end)."""
        return iter(self.extents.select("start", "end").iter_rows())

    def __contains__(self, offset: int) -> bool:
        """Tell whether the byte at an offset is in it."""
        return ranges.select(self.extents, offset, offset + 1).height > 0

    @property
    def share(self) -> float | None:
        """Its part of the file; None for an empty file."""
        return len(self) / self.size if self.size else None


def _within(extents: pl.DataFrame, size: int) -> pl.DataFrame:
    return extents.filter(pl.col("start") < size).with_columns(pl.col("end").clip(upper_bound=size))


def _either(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    return ranges.union(ranges.subtract(a, b), ranges.subtract(b, a))


def runs_by_process(events: pl.DataFrame, size: int) -> dict[str, Run]:
    """Give a run per process of a session, for ONE file; processes of one name get their id behind it.

    Returns
    -------
    dict of str to Run
        In the order of the processes' first reads.
    """
    reads = events.filter(pl.col("op") == "read")
    parts = reads.partition_by("process", "pid", maintain_order=True, as_dict=True)
    times = Counter(process for process, _ in parts)
    runs: dict[str, Run] = {}
    for (process, pid), part in parts.items():
        name = f"{process} [{pid}]" if times[process] > 1 else str(process)
        while name in runs:  # a process may call itself "cat [2]"
            name = f"{name} [{pid}]"
        runs[name] = Run.of(part, name, size)
    return runs


def runs_by_handle(events: pl.DataFrame, size: int) -> dict[int, Run]:
    """Give a run per opening of ONE file, by the number of its handle."""
    reads = events.filter(pl.col("op") == "read")
    parts = reads.partition_by("handle", maintain_order=True, as_dict=True)
    return {handle: Run.of(part, f"handle {handle}", size) for (handle,), part in parts.items()}


def differential(runs: Mapping[str, Run] | Sequence[Run]) -> pl.DataFrame:
    """Cut the file where who reads changes, and say for each piece who does.

    Returns
    -------
    frame of `start`, `end`, `length`, `readers`, `count`, and one Boolean column per run
        Pieces in order, all of [0, largest size); `readers` are the names joined by a comma, empty for nobody.

    Raises
    ------
    BadInput
        No runs, or two of one name.
    """
    named = _named(runs)
    size = max(run.size for run in named.values())
    extents = {name: run.below(size) for name, run in named.items()}
    edges = places.distinct(np.array([0, size]), *map(_edges, extents.values()))
    held = {name: _holds(each, edges[:-1]) for name, each in extents.items()}
    changes = np.zeros(len(edges) - 1, bool)
    for column in held.values():
        changes |= np.diff(column.astype(np.int8), prepend=-1) != 0
    first = np.flatnonzero(changes)
    bounds = np.append(edges[first], size)
    table = pl.DataFrame(
        {
            "start": bounds[:-1],
            "end": bounds[1:],
            **{f"={name}": column[first] for name, column in held.items()},
        },
        schema={"start": pl.Int64, "end": pl.Int64, **{f"={name}": pl.Boolean for name in named}},
    )
    readers = [pl.when(pl.col(f"={name}")).then(pl.lit(name)) for name in named]
    return table.select(
        "start", "end", length=pl.col("end") - pl.col("start"),
        readers=pl.concat_str(readers, separator=", ", ignore_nulls=True),
        count=pl.sum_horizontal(pl.col(f"={name}").cast(pl.Int64) for name in named),
        **{_column(name): pl.col(f"={name}") for name in named},
    )  # fmt: skip


def _column(name: str) -> str:
    """Name a run's column; one that is called as one of ours gets an equals sign before it."""
    return f"={name}" if name.lstrip("=") in _COLUMNS else name


def _named(runs: Mapping[str, Run] | Sequence[Run]) -> dict[str, Run]:
    named = dict(runs) if isinstance(runs, Mapping) else {run.name: run for run in runs}
    if not named:
        raise BadInput("nothing to compare; give at least one run.")
    if len(named) < len(runs):
        raise BadInput("two runs have one name; give them as a mapping with names of your own.")
    return named


def _edges(extents: pl.DataFrame) -> NDArray[np.int64]:
    return np.concatenate([extents["start"].to_numpy(), extents["end"].to_numpy()])


def _holds(extents: pl.DataFrame, offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell for each offset whether the extents hold it."""
    begun = np.searchsorted(extents["start"].to_numpy(), offsets, side="right")
    ended = np.searchsorted(extents["end"].to_numpy(), offsets, side="right")
    return begun > ended


def only_one(runs: Mapping[str, Run] | Sequence[Run]) -> pl.DataFrame:
    """Give the ranges that only one run read: `start`, `end`, `length`, `run`."""
    alone = differential(runs).filter(pl.col("count") == 1)
    return alone.select("start", "end", "length", run="readers")


def nobody(runs: Mapping[str, Run] | Sequence[Run]) -> pl.DataFrame:
    """Give the ranges that no run read: `start`, `end`, `length`."""
    return differential(runs).filter(pl.col("count") == 0).select("start", "end", "length")


def agreement(runs: Mapping[str, Run] | Sequence[Run]) -> pl.DataFrame:
    """Say for each pair of runs how much they agree.

    Returns
    -------
    frame of `AGREEMENT`
        `both` and `either` in bytes; `jaccard` is both / either, null where neither read a byte.
    """
    rows = []
    for (one, a), (two, b) in itertools.combinations(_named(runs).items(), 2):
        both, either = len(a & b), len(a | b)
        rows.append((one, two, both, either, both / either if either else None))
    return pl.DataFrame(rows, schema=AGREEMENT, orient="row")


def order_differences(a: Run, b: Run) -> pl.DataFrame:
    """Say how differently two runs went through the bytes they share.

    The shared bytes are cut into segments wherever, in either run, another read was the first to touch them. Two segments
    are inverted when one run touched the first one first and the other run the second; segments touched by the same
    read are never inverted. `distance` is inversions per pair of segments (Kendall's tau distance, 0 to 1).

    Returns
    -------
    frame of one row of `ORDER`
        `parts_at` is the start of the first segment, in the order of `a`, before which `b` touches one that `a` touches
        later; null if there is none.

    Raises
    ------
    BadInput
        A run is a combination and has no order.
    """
    start, in_a, in_b = _common_pieces(_touches(a), _touches(b))
    order = np.lexsort((in_b, in_a))
    second = np.searchsorted(places.distinct(in_b), in_b[order])
    earliest_after = np.minimum.accumulate(second[::-1])[::-1]
    parted = order[second > earliest_after]
    inversions, pairs = _inversions(second), len(second) * (len(second) - 1) // 2
    distance = inversions / pairs if pairs else 0.0
    row = (len(second), inversions, distance, int(start[parted[0]]) if len(parted) else None)
    return pl.DataFrame([row], schema=ORDER, orient="row")


def _touches(run: Run) -> pl.DataFrame:
    if run.events is None or "seq" not in run.events.columns:
        raise BadInput(f"{visible(run.name)} has no order; compare runs of recordings, not combinations.")
    return _within(ranges.first_touch(run.events), run.size)


def _common_pieces(one: pl.DataFrame, two: pl.DataFrame) -> tuple[Places, Places, Places]:
    """Cut the bytes both touched: where each piece starts, and the event that touched it first in either run."""
    starts = places.distinct(_edges(one), _edges(two))[:-1]
    starts = starts[_holds(one, starts) & _holds(two, starts)]
    firsts = [
        each["seq"].to_numpy()[np.searchsorted(each["start"].to_numpy(), starts, side="right") - 1]
        for each in (one, two)
    ]
    return starts, firsts[0], firsts[1]


def _inversions(ranks: Places) -> int:
    """Count the pairs that stand in falling order.

    By radix, from the highest bit down: a pair falls at the highest bit in which it differs, if the one with the bit set stands
    first. Ranks that agree above a bit are kept together, in their order.
    """
    found = 0
    for bit in range(int(ranks.max(initial=0)).bit_length() - 1, -1, -1):
        above = ranks >> (bit + 1)
        is_set = (ranks >> bit & 1).astype(bool)
        before = np.concatenate([[0], np.cumsum(is_set)])
        unset = np.flatnonzero(~is_set)
        together = np.searchsorted(above, above[unset])
        found += int((before[unset] - before[together]).sum())
        ranks = ranks[np.argsort(ranks >> bit, kind="stable")]
    return found
