"""Classes of counts: five steps from once to the most times; zero is in none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from fmrw.figures.theme import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Scale = Literal["log", "linear"]

_STEPS = (4, 5, 10, 20, 50, 100, 1_000, 10_000, 100_000)


def times_text(ops: Iterable[str]) -> str:
    """Say what counts: "read", "written" or "read or written"."""
    return " or ".join({"read": "read", "write": "written"}[op] for op in ops)


@dataclass(frozen=True)
class Classes:
    """Lower bounds of classes: class i holds counts from `lowest[i]` to below `lowest[i + 1]`, class 0 begins at 1."""

    lowest: tuple[int, ...]
    most: int

    @classmethod
    def of(cls, most: int, scale: Scale = "log") -> Classes:
        """Choose at most five classes for counts up to `most`.

        Logarithmic: 1, 2 to s - 1, s to s² - 1 and so on, with the smallest round s that leaves nothing over.
        Linear: five of equal width. Either way one access has a class of its own as long as counts are few.
        """
        if most <= CLASSES:
            return cls(tuple(range(1, max(most, 1) + 1)), most)
        if scale == "linear":
            return cls(tuple(1 + (most * i) // CLASSES for i in range(CLASSES)), most)
        step = next((s for s in _STEPS if s**4 > most), _STEPS[-1])
        lowest = (1, 2, step, step**2, step**3)
        return cls(tuple(low for low in lowest if low <= most), most)

    def number(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give each count's class from 1 on; 0 for a count of 0."""
        return np.searchsorted(np.array(self.lowest), counts, "right").astype(np.int64)

    def label(self, number: int) -> str:
        """Write the counts of a class, counted from 1: "2" or "2 to 9", with a dash."""
        low = self.lowest[number - 1]
        high = self.lowest[number] - 1 if number < len(self.lowest) else max(self.most, low)
        return f"{low:,}" if low == high else f"{low:,}–{high:,}"  # noqa: RUF001 - an en dash, in print

    def colours(self, ramp: tuple[str, ...]) -> tuple[str, ...]:
        """Spread the classes over a ramp, so that few classes lie far apart."""
        if len(self.lowest) == 1:
            return (ramp[2],)
        last = len(ramp) - 1
        return tuple(ramp[round(i * last / (len(self.lowest) - 1))] for i in range(len(self.lowest)))
