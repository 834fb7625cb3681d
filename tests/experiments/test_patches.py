"""Patches against brute force, byte by byte."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmrw.experiments import patches
from fmrw.experiments.patches import Table, normalised, pattern
from fmrw.experiments.shared import Patch

SIZE = 300


def one_byte(patch: Patch, at: int, byte: int) -> int:
    value = patch.value
    return {
        patches.FILL: lambda: value,
        patches.ADD: lambda: (byte + value) % 256,
        patches.XOR: lambda: byte ^ value,
        patches.KEYED: lambda: byte ^ pattern(value, at, at + 1)[0],
        patches.DATA: lambda: value >> 8 * (at - patch.start) & 0xFF,
    }[patch.operation]()


@st.composite
def tables(draw: st.DrawFn) -> list[Patch]:
    borders = sorted(draw(st.sets(st.integers(0, SIZE), min_size=2, max_size=24)))
    found: list[Patch] = []
    for start, end in zip(borders[::2], borders[1::2], strict=False):
        kind = draw(st.integers(0, 4))
        if kind == patches.DATA:
            found += patches.data(start, draw(st.binary(min_size=end - start, max_size=end - start)))
        else:
            found.append(Patch(start, end, kind, draw(st.integers(0, 255))))
    return found


@given(tables(), st.integers(0, SIZE), st.integers(0, SIZE))
def test_a_read_is_altered_as_brute_force_alters_it(table: list[Patch], offset: int, size: int) -> None:
    content = random.Random(1).randbytes(SIZE)  # noqa: S311 - the same every time
    expected = bytearray(content)
    for patch in table:
        for at in range(patch.start, patch.end):
            expected[at] = one_byte(patch, at, expected[at])
    buffer = bytearray(content[offset : offset + size])
    Table(normalised(table)).apply(buffer, offset, len(buffer))
    assert buffer == expected[offset : offset + size]


def test_the_keyed_pattern_is_never_zero_and_has_no_short_period() -> None:
    first = pattern(1, 0, 200_000)
    assert 0 not in first
    assert pattern(1, 70_000, 70_100) == first[70_000:70_100]
    assert pattern(2, 0, 100) != first[:100]
    assert all(first[:1000] != first[shift : shift + 1000] for shift in range(1, 5000))


@pytest.mark.parametrize(
    "bad", [[Patch(3, 3, 0, 0)], [Patch(-1, 3, 0, 0)], [Patch(0, 4, 0, 0), Patch(3, 5, 0, 0)]]
)
def test_patches_that_mean_nothing_are_refused(bad: list[Patch]) -> None:
    with pytest.raises(ValueError, match="patch"):
        normalised(bad)
