"""Runs as sets of bytes: what did one parser read that another did not.

A `Run` is the set of bytes that somebody read of one file, with a name; `&`, `|`, `-`, `^` and `~` combine runs, and the names of
the results say how. Sizes: a run knows the size of its file; a combination has the larger one, and the complement is taken
in it. Bytes at or past the size are not part of any run, so that `~~a == a` and De Morgan's laws hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import ranges
from fmrw.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_ATOM, _AND, _OR = 3, 2, 1  # how tightly a name binds
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

    @classmethod
    def of(cls, events: pl.DataFrame, name: str, size: int) -> Run:
        """Make a run of the reads among events of ONE file (any frame with `start` and `end`)."""
        reads = events.filter(pl.col("op") == "read") if "op" in events.columns else events
        return cls(name, size, _within(ranges.merge(reads), size), reads)

    def __and__(self, other: Run) -> Run:
        """Give the bytes both read."""
        return self._with(other, ranges.intersect(self.extents, other.extents), "&", _AND)

    def __or__(self, other: Run) -> Run:
        """Give the bytes at least one of them read."""
        return self._with(other, ranges.union(self.extents, other.extents), "|", _OR)

    def __sub__(self, other: Run) -> Run:
        """Give the bytes this one read and the other did not."""
        return self._with(other, ranges.subtract(self.extents, other.extents), "-", _AND)

    def __xor__(self, other: Run) -> Run:
        """Give the bytes exactly one of them read."""
        only = ranges.union(
            ranges.subtract(self.extents, other.extents), ranges.subtract(other.extents, self.extents)
        )
        return self._with(other, only, "^", _OR)

    def __invert__(self) -> Run:
        """Give the bytes of the file it did not read."""
        return Run(f"~{self._named(_ATOM)}", self.size, ranges.complement(self.extents, self.size))

    def _with(self, other: Run, extents: pl.DataFrame, sign: str, binds: int) -> Run:
        name = f"{self._named(binds)} {sign} {other._named(binds + 1)}"
        return Run(name, max(self.size, other.size), extents, None, binds)

    def _named(self, binds: int) -> str:
        return self.name if self._binds >= binds else f"({self.name})"

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same bytes of a file of the same size; names do not count."""
        return isinstance(other, Run) and self.size == other.size and self.extents.equals(other.extents)

    def __hash__(self) -> int:
        """Agree with `==`."""
        return hash((self.size, self.extents.height, len(self)))

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


def runs_by_process(events: pl.DataFrame, size: int) -> dict[str, Run]:
    """Give a run per process of a session, for ONE file; processes of one name get their id behind it.

    Returns
    -------
    dict of str to Run
        In the order of the processes' first reads.
    """
    reads = events.filter(pl.col("op") == "read")
    pairs = reads.select("process", "pid").unique(maintain_order=True)
    twice = set(pairs.filter(pl.col("process").is_duplicated())["process"])
    return {
        (name := f"{process} [{pid}]" if process in twice else process): Run.of(
            reads.filter(pl.col("process") == process, pl.col("pid") == pid), name, size
        )
        for process, pid in pairs.iter_rows()
    }


def runs_by_handle(events: pl.DataFrame, size: int) -> dict[int, Run]:
    """Give a run per opening of ONE file, by the number of its handle."""
    reads = events.filter(pl.col("op") == "read")
    handles = reads["handle"].unique(maintain_order=True)
    return {each: Run.of(reads.filter(pl.col("handle") == each), f"handle {each}", size) for each in handles}


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
    edges = (
        np.unique(np.concatenate([[0, size], *[_edges(run) for run in named.values()]]))
        if size
        else np.zeros(1, np.int64)
    )
    held = {name: _holds(run, edges[:-1]) for name, run in named.items()}
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
    return f"={name}" if name in {"start", "end", "length", "readers", "count"} else name


def _named(runs: Mapping[str, Run] | Sequence[Run]) -> dict[str, Run]:
    named = dict(runs) if isinstance(runs, Mapping) else {run.name: run for run in runs}
    if not named:
        raise BadInput("nothing to compare; give at least one run.")
    if len(named) < len(runs):
        raise BadInput("two runs have one name; give them as a mapping with names of your own.")
    return named


def _edges(run: Run) -> NDArray[np.int64]:
    return np.concatenate([run.extents["start"].to_numpy(), run.extents["end"].to_numpy()])


def _holds(run: Run, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell for each offset whether the run holds it."""
    begun = np.searchsorted(run.extents["start"].to_numpy(), places, side="right")
    ended = np.searchsorted(run.extents["end"].to_numpy(), places, side="right")
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
        `parts_at` is the start of the first segment, in the order of `a`, that `b` touches after one it should come
        before; null if there is none.

    Raises
    ------
    BadInput
        A run is a combination and has no order.
    """
    if a.events is None or b.events is None:
        raise BadInput("a combination of runs has no order; compare runs of recordings.")
    pieces = _common_pieces(ranges.first_touch(a.events), ranges.first_touch(b.events))
    ordered = pieces.sort("seq", "seq_")
    second = ordered["seq_"].to_numpy()
    inversions = _inversions(second)
    parted = np.flatnonzero(second < np.maximum.accumulate(second)) if len(second) else second
    pairs = len(second) * (len(second) - 1) // 2
    at = int(ordered["start"][int(parted[0])]) if len(parted) else None
    return pl.DataFrame(
        [(len(second), inversions, inversions / pairs if pairs else 0.0, at)], schema=ORDER, orient="row"
    )


def _common_pieces(one: pl.DataFrame, two: pl.DataFrame) -> pl.DataFrame:
    pairs = ranges.overlap(one, two)
    return pairs.select(start="overlap_start", end="overlap_end", seq="seq", seq_="seq_")


def _inversions(values: NDArray[np.int64]) -> int:
    """Count the pairs that stand in falling order, by merging sorted halves."""
    if len(values) < 2:  # noqa: PLR2004 - a pair
        return 0
    left, right = np.array_split(values, 2)
    inner = _inversions(left) + _inversions(right)
    ahead = len(left) - np.searchsorted(np.sort(left), right, side="right")
    return inner + int(ahead.sum())
