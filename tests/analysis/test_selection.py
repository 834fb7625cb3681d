"""Merging the extents that a filter means, in pieces, against merging them at once."""

from __future__ import annotations

import numpy as np
import pytest
from test_tiles import frame

from fmrw.analysis.index import selection
from fmrw.analysis.index.cover import Cover
from fmrw.analysis.index.layers import Run
from fmrw.analysis.index.selection import Chosen


@pytest.mark.parametrize("longest", [2, 40, 400])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 1])
def test_merging_in_pieces(monkeypatch: pytest.MonkeyPatch, longest: int, share: float) -> None:
    monkeypatch.setattr(selection, "_CHUNK", 16)  # so that there are several
    random = np.random.default_rng(longest)
    starts = random.integers(0, 3000, 400)
    run = Run.build(frame([(int(at), int(at + random.integers(1, longest)), "read", 0) for at in starts]))
    chosen = Chosen.of(run, random.random(len(run)) < share)
    pieces, expected = chosen.cover(run), Cover.of(*chosen.offsets(run))
    assert pieces.starts.tolist() == expected.starts.tolist()
    assert pieces.ends.tolist() == expected.ends.tolist()


def test_merging_in_pieces_up_to_the_last_offset() -> None:
    last = 2**63 - 1
    run = Run.build(frame([(0, 4, "read", 0), (last - 1, last, "read", 0)]))
    merged = Chosen.of(run, np.ones(2, np.bool_)).cover(run)
    assert (merged.starts.tolist(), merged.ends.tolist()) == ([0, last - 1], [4, last])
