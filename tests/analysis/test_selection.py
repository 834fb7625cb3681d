"""Merging the extents that a filter means, in pieces, against merging them at once."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tiles import frame

from fmrw.analysis.index import filter as filters
from fmrw.analysis.index import selection
from fmrw.analysis.index.cover import Cover
from fmrw.analysis.index.filter import Filter
from fmrw.analysis.index.layers import Run
from fmrw.analysis.index.selection import Chosen
from fmrw.trace.schema import EVENTS


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


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(1, 9), st.booleans()), min_size=1, max_size=70))
def test_who_is_meant_is_looked_up_in_both_orders(extents: list[tuple[int, int, bool]]) -> None:
    run = Run.build(frame([(at, at + length, "read", 0) for at, length, _ in extents]))
    mask = np.array([meant for *_, meant in extents])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_CHUNK", 16)
        chosen = Chosen.of(run, mask)
    assert chosen.by_start.tolist() == mask[run.by_start].tolist()
    assert chosen.by_end.tolist() == mask[run.by_end].tolist()
    starts, ends = chosen.offsets(run)
    assert starts.tolist() == sorted(at for at, _, meant in extents if meant)
    assert ends.tolist() == sorted(at + length for at, length, meant in extents if meant)


pairs = st.tuples(st.integers(1, 3), st.sampled_from(["cat", "dd", "a name of more than twelve bytes"]))


@settings(max_examples=100, deadline=None)
@given(st.lists(pairs, max_size=20), st.lists(pairs, max_size=9), st.sampled_from([0, 8]), st.booleans())
def test_processes_are_their_numbers_and_names(
    events: list[tuple[int, str]],
    asked: list[tuple[int, str]],
    few: int,
    reads: bool,  # noqa: FBT001 - the case
) -> None:
    schema = {name: EVENTS[name] for name in ("pid", "process", "op")}
    rows = [(*who, "read" if n % 3 else "write") for n, who in enumerate(events)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "_FEW", few)
        mask = Filter.of(op="read" if reads else None, processes=asked).mask(
            pl.DataFrame(rows, schema=schema, orient="row")
        )
    assert mask is not None
    assert mask.tolist() == [row[:2] in asked and (row[2] == "read" or not reads) for row in rows]


def test_merging_in_pieces_up_to_the_last_offset() -> None:
    last = 2**63 - 1
    run = Run.build(frame([(0, 4, "read", 0), (last - 1, last, "read", 0)]))
    merged = Chosen.of(run, np.ones(2, np.bool_)).cover(run)
    assert (merged.starts.tolist(), merged.ends.tolist()) == ([0, last - 1], [4, last])
