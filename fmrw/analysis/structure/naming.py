"""Ranges by the names a format gives them: `data of entry a.txt`, `between chunk IDAT and chunk IEND`.

Parts are kept as arrays by depth. To name a range, the parts that share a byte with it are looked up from the outermost depth
inwards, as long as one part holds it whole.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Offsets = NDArray[np.int64]

NOTHING = "no format recognised"
GIVEN = "ranges of a file of one's own"
_SHOWN = 3
_LOOKED_AT = 2_000  # parts compared for one range: overlapping parts without end must not take minutes


def is_bracket() -> pl.Expr:
    """Say of each row whether it only brackets a format: depth 0, and rows of a greater depth behind it."""
    return (pl.col("depth") == 0) & (pl.col("depth").shift(-1, fill_value=0) > 0)


def format_of(structure: pl.DataFrame) -> str:
    """Say which formats a structure is of, and what is wrong with them: `ZIP (damaged: no end of ...), PNG`."""
    if structure.is_empty():
        return NOTHING
    brackets = structure.filter(is_bracket())["name"].to_list()
    return ", ".join(brackets) if brackets else GIVEN


class _Level(NamedTuple):
    """Parts of one depth, by start; `reach` is the largest end so far, `furthest` the part that has it."""

    starts: Offsets
    ends: Offsets
    reach: Offsets
    furthest: Offsets
    names: pl.Series

    def over(self, start: int, end: int) -> Iterator[int]:
        """Yield the parts that share a byte with [start, end)."""
        first = int(np.searchsorted(self.reach, start, "right"))
        stop = int(np.searchsorted(self.starts, end, "left"))
        near = self.ends[first : min(stop, first + _LOOKED_AT)] > start
        yield from (np.flatnonzero(near) + first).tolist()


class Names:
    """The parts of a structure, to be asked for the name of a range."""

    def __init__(self, structure: pl.DataFrame) -> None:
        named = structure.filter(~is_bracket())
        self._levels = [
            _level(named.filter(depth=depth)) for depth in sorted(named["depth"].unique().to_list())
        ]

    def of(self, start: int, end: int) -> str:
        """Name a range by the parts it shares bytes with; "" if there are none."""
        inside: list[str] = []
        for level in self._levels:
            found = list(islice(level.over(start, end), _SHOWN + 1))
            if not found:
                break
            if len(found) == 1 and level.starts[found[0]] <= start and end <= level.ends[found[0]]:
                inside.append(level.names[found[0]])
                if level.starts[found[0]] == start and end == level.ends[found[0]]:
                    break
                continue
            several = ", ".join(level.names[place] for place in found[:_SHOWN])
            several += " and others" if len(found) > _SHOWN else ""
            return f"{several} in {inside[-1]}" if inside else several
        return " of ".join(reversed(inside[-2:])) if len(inside) > 1 else "".join(inside)

    def around(self, end: int) -> str:
        """Name a range that no part describes, and that ends here, by its neighbours; "" if there are no parts."""
        if not self._levels:
            return ""
        level = self._levels[0]
        after = int(np.searchsorted(level.starts, end, "left"))
        behind = level.names[after] if after < len(level.names) else ""
        before = level.names[int(level.furthest[after - 1])] if after else ""
        if before and behind:
            return f"between {before} and {behind}"
        return f"behind {before}" if before else f"before {behind}" if behind else ""


def _level(parts: pl.DataFrame) -> _Level:
    parts = parts.sort("start", maintain_order=True)
    ends = parts["end"].to_numpy()
    reach = np.maximum.accumulate(ends)
    furthest = np.maximum.accumulate(np.where(ends == reach, np.arange(len(ends)), 0))
    return _Level(parts["start"].to_numpy(), ends, reach, furthest, parts["name"])
