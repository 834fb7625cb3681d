"""Expectations about what was read, for continuous integration: `fmrw assert`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import ranges
from fmrw.offsets import range_text

if TYPE_CHECKING:
    from collections.abc import Sequence

Range = tuple[int, int]


@dataclass(frozen=True)
class Violation:
    """An expectation that does not hold, with the ranges that break it.

    Attributes
    ----------
    expectation : str
        As it was asked for, such as `reads 0x0-0x20`.
    offending : list of (start, end)
        Unread bytes of a range that should have been read, read bytes of one that should not, the gaps where too little of
        the file was read.
    reason : str
        One sentence.
    """

    expectation: str
    offending: list[Range]
    reason: str


def check(
    read: pl.DataFrame,
    size: int,
    *,
    reads: Sequence[Range] = (),
    never: Sequence[Range] = (),
    fail_under: float | None = None,
) -> list[Violation]:
    """Compare what was read with what is expected.

    Parameters
    ----------
    read
        Extents that were read.
    size
        Bytes in the file.
    reads, never
        Ranges every byte of which must, or must not, have been read.
    fail_under
        Least share of the file that must have been read, in per cent. An empty file counts as wholly read.

    Returns
    -------
    list of Violation
        Empty when all is as expected.
    """
    found = [_unread(read, wanted) for wanted in reads] + [_touched(read, spared) for spared in never]
    if fail_under is not None:
        found.append(_too_little(read, size, fail_under))
    return [violation for violation in found if violation is not None]


def _unread(read: pl.DataFrame, wanted: Range) -> Violation | None:
    missing = ranges.subtract(_one(wanted), read).rows()
    return (
        Violation(f"reads {range_text(*wanted)}", missing, f"{_bytes(missing):,} bytes of it were not read")
        if missing
        else None
    )


def _touched(read: pl.DataFrame, spared: Range) -> Violation | None:
    touched = ranges.intersect(_one(spared), read).rows()
    return (
        Violation(f"never {range_text(*spared)}", touched, f"{_bytes(touched):,} bytes of it were read")
        if touched
        else None
    )


def _too_little(read: pl.DataFrame, size: int, least: float) -> Violation | None:
    gaps = ranges.complement(read, size).rows()
    share = 100 * (size - _bytes(gaps)) / size if size else 100.0
    return Violation(f"at least {least:g} %", gaps, f"{share:.2f} % was read") if share < least else None


def _one(wanted: Range) -> pl.DataFrame:
    return pl.DataFrame([wanted], schema=ranges.RANGE, orient="row")


def _bytes(found: Sequence[Range]) -> int:
    return sum(end - start for start, end in found)
