from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.analysis import minima
from fmrw.analysis.minima import BLOCK, NOBODY, RangeMinimum, paint

moderate = settings(max_examples=60)
CELLS = 150


@moderate
@given(st.lists(st.tuples(st.integers(0, CELLS), st.integers(0, CELLS), st.integers(0, 40)), max_size=20))
def test_paint_keeps_the_smallest_label(intervals: list[tuple[int, int, int]]) -> None:
    ordered = [(min(a, b), max(a, b), label) for a, b, label in intervals]
    expected = [min((t for a, b, t in ordered if a <= cell < b), default=NOBODY) for cell in range(CELLS)]
    table = np.array(ordered, np.int64).reshape(-1, 3)
    found = paint(table[:, 0], table[:, 1], table[:, 2].astype(np.int32), CELLS)
    assert found.tolist() == expected


@moderate
@given(
    st.lists(st.integers(0, 1000), max_size=BLOCK * 9),
    st.lists(st.tuples(st.integers(0, BLOCK * 9), st.integers(0, BLOCK * 9)), max_size=30),
)
def test_range_minimum_equals_min_of_the_slice(labels: list[int], slices: list[tuple[int, int]]) -> None:
    bounds = np.minimum(np.array(slices, np.int64).reshape(-1, 2), len(labels))
    found = RangeMinimum(np.array(labels, np.int32)).of(bounds[:, 0], bounds[:, 1])
    assert found.tolist() == [min(labels[a:b], default=NOBODY) for a, b in bounds.tolist()]


@pytest.mark.parametrize("blocks", [1, 2, 4, 8, 1024])
def test_the_whole_of_a_round_number_of_blocks(blocks: int) -> None:
    labels = np.arange(blocks * BLOCK, 0, -1, dtype=np.int32)
    assert RangeMinimum(labels).of(np.array([0]), np.array([len(labels)])).tolist() == [1]


def test_labels_left_out_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minima, "_PIECE", 2 * BLOCK)  # so that there are several
    random = np.random.default_rng(3)
    labels, left_out = random.permutation(9 * BLOCK + 5).astype(np.int32), random.random(9 * BLOCK + 5) < 0.9
    low, high = np.sort(random.integers(0, len(labels) + 1, (2, 500)), axis=0)
    expected = [
        min(labels[a:b][~left_out[a:b]].tolist(), default=NOBODY) for a, b in zip(low, high, strict=True)
    ]
    assert RangeMinimum(labels, left_out).of(low, high).tolist() == expected
