"""Expectations about what was read, for continuous integration: `fmrw assert`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis import ranges
from fmrw.errors import BadInput, BadRange
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
        Least share of the file that must have been read, in per cent, compared exactly. An empty file counts as wholly
        read.

    Returns
    -------
    list of Violation
        Empty when all is as expected.

    Raises
    ------
    BadRange
        A range holds no byte, so nothing could break it.
    BadInput
        `fail_under` is not a number.
    """
    for span in (*reads, *never):
        _refuse_empty(*span)
    found = [_unread(read, wanted) for wanted in reads] + [_touched(read, spared) for spared in never]
    if fail_under is not None:
        found.append(_too_little(read, size, fail_under))
    return [violation for violation in found if violation is not None]


def _unread(read: pl.DataFrame, wanted: Range) -> Violation | None:
    missing = ranges.subtract(_one(wanted), read).rows()
    reason = f"{_bytes(missing)} of it not read"
    return Violation(f"reads {range_text(*wanted)}", missing, reason) if missing else None


def _touched(read: pl.DataFrame, spared: Range) -> Violation | None:
    touched = ranges.intersect(_one(spared), read).rows()
    reason = f"{_bytes(touched)} of it requested"
    return Violation(f"never {range_text(*spared)}", touched, reason) if touched else None


def _too_little(read: pl.DataFrame, size: int, least: float) -> Violation | None:
    if math.isnan(least):
        raise BadInput("nan is no percentage; give a number from 0 to 100.")
    gaps = ranges.complement(read, size).rows()
    unread = _count(gaps)
    if (size - unread) * 100 >= Fraction(str(least)) * size:
        return None
    reason = f"{_percent(size - unread, size)} requested, {_bytes(gaps)} not"
    return Violation(f"at least {least:g} %", gaps, reason)


def _percent(part: int, whole: int) -> str:
    """Write a share, rounded down: it never looks like more than it is."""
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02} %"


def _one(wanted: Range) -> pl.DataFrame:
    return pl.DataFrame([wanted], schema=ranges.RANGE, orient="row")


def _count(found: Sequence[Range]) -> int:
    return sum(end - start for start, end in found)


def _bytes(found: Sequence[Range]) -> str:
    count = _count(found)
    return f"{count:,} byte{'' if count == 1 else 's'}"


def _refuse_empty(start: int, end: int) -> None:
    if end <= start:
        raise BadRange(
            f"[{start}, {end}) holds no byte, so it cannot fail; the end must lie after the start."
        )
