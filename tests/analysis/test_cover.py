"""Sums of beginnings of which few are kept, against adding up."""

from __future__ import annotations

import numpy as np
import pytest

from fmrw.analysis.index.cover import BlockSums


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 64, 1000])
def test_sums_of_beginnings(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(BlockSums, "_PIECE", 64)  # so that there are several
    values = np.random.default_rng(count).integers(-(1 << 62), 1 << 62, count)
    counts = np.arange(count + 1)
    expected = np.concatenate([np.zeros(1, np.int64), np.cumsum(values)])
    assert np.array_equal(BlockSums.of(values).first(counts), expected)


def test_sums_that_64_bits_do_not_hold() -> None:
    values = np.full(40, 1 << 62)
    sums = BlockSums.of(values, object).first(np.array([0, 3, 40]))
    assert sums.tolist() == [0, 3 << 62, 40 << 62]
