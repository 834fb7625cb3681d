"""Expectations about what was read, against sets of integers."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.analysis.expectations import Violation, check
from fmrw.analysis.ranges import RANGE
from fmrw.errors import BadInput, BadRange

SIZE = 20
several = settings(max_examples=100)
spans = st.lists(st.tuples(st.integers(0, 24), st.integers(1, 6)), max_size=5).map(
    lambda pairs: [(start, start + length) for start, length in pairs]
)


def extents(pairs: list[tuple[int, int]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema=RANGE, orient="row")


def members(pairs: list[tuple[int, int]]) -> set[int]:
    return {byte for start, end in pairs for byte in range(start, end)}


@several
@given(spans, spans, spans)
def test_each_broken_range_is_named_with_the_bytes_that_break_it(
    read: list[tuple[int, int]], reads: list[tuple[int, int]], never: list[tuple[int, int]]
) -> None:
    found = check(extents(read), SIZE, reads=reads, never=never)
    broken = [("reads", span, members([span]) - members(read)) for span in reads]
    broken += [("never", span, members([span]) & members(read)) for span in never]
    expected = [(f"{word} {s:#x}-{e:#x}", offending) for word, (s, e), offending in broken if offending]
    assert [(each.expectation, members(each.offending)) for each in found] == expected
    for each in found:
        assert f"{len(members(each.offending)):,} byte" in each.reason


@several
@given(spans, st.integers(0, SIZE), st.integers(0, 1000))
def test_the_least_share_is_compared_exactly(read: list[tuple[int, int]], size: int, per_mille: int) -> None:
    found = check(extents(read), size, fail_under=per_mille / 10)
    covered = members(read) & set(range(size))
    assert bool(found) == (len(covered) * 1000 < per_mille * size)
    for each in found:
        assert members(each.offending) == set(range(size)) - covered


def test_one_byte_of_many_is_not_rounded_away() -> None:
    (found,) = check(extents([(0, 2**62 - 1)]), 2**62, fail_under=100)
    assert found == Violation("at least 100 %", [(2**62 - 1, 2**62)], "99.99 % requested, 1 byte not")


def test_a_decimal_share_that_is_reached_exactly_is_enough() -> None:
    for per_mille in range(0, 1001, 7):
        assert not check(extents([(0, per_mille)]), 1000, fail_under=per_mille / 10)


def test_a_range_past_the_end_was_not_read() -> None:
    (found,) = check(extents([(0, SIZE)]), SIZE, reads=[(16, 24)])
    assert found.offending == [(20, 24)]
    assert found.reason == "4 bytes of it not read"


def test_an_empty_file_is_wholly_read() -> None:
    assert check(extents([]), 0, fail_under=100) == []


def test_an_expectation_that_nothing_can_break_is_refused() -> None:
    for span in ((5, 5), (8, 4)):
        with pytest.raises(BadRange, match="holds no byte"):
            check(extents([]), SIZE, reads=[span])
        with pytest.raises(BadRange, match="holds no byte"):
            check(extents([(0, SIZE)]), SIZE, never=[span])
    with pytest.raises(BadInput, match="nan is no percentage"):
        check(extents([]), SIZE, fail_under=float("nan"))
