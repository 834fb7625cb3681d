"""Counting first and indexing later gives what the index gives."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from recordings import BEGIN, events

from fmrw.analysis.index.tiles import window_edges
from fmrw.explorer import counts
from fmrw.explorer.counts import Counts, Tally
from fmrw.explorer.explorer import explore
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from recordings import LiveTrace

COLUMNS = ["start", "end", "accesses", "bytes", "distinct", "repeats"]


def many(count: int, size: int, seed: int, *, first: int = 0) -> pl.DataFrame:
    """Make reads and writes of two processes all over a file."""
    random = np.random.default_rng(seed)
    start = random.integers(0, size, count)
    columns = {
        "seq": np.arange(first, first + count), "start": start, "end": np.minimum(start + random.integers(1, 2 + size // 3, count), size),
        "pid": random.integers(7, 9, count).astype(np.int32), "op": np.where(random.random(count) < 0.3, "write", "read"),
    }  # fmt: skip
    frame = events(("read", 0, 1), size=size).drop(columns).join(pl.DataFrame(columns), how="cross")
    return frame.select(schema.EVENTS.names()).cast(schema.EVENTS)  # type: ignore[arg-type] # a schema


def most_touched(frame: pl.DataFrame, edges: NDArray[np.int64]) -> list[int]:
    """Say how often the byte of each bin that was read most often was read; the depth is greatest where a bin or a read begins."""
    reads = frame.filter(pl.col("op") == "read").select("start", "end").rows()
    found = []
    for low, high in pairwise(edges.tolist()):
        places = [at for at in {low, *(start for start, _ in reads)} if low <= at < high]
        found.append(max((sum(start <= at < end for start, end in reads) for at in places), default=0))
    return found


@pytest.mark.parametrize("size", [1, 7, 500, 1 << 40])
def test_first_and_later_agree(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    frame = many(60, size, seed=size % 1000)
    now = Counts("read")
    now.extend(frame)
    monkeypatch.setattr(counts, "LARGE", 1)
    later = Counts("read")
    later.extend(frame)
    assert later.touched is not None
    for window in ((0, size), (size // 3, size // 3 + max(size // 5, 1))):
        for bins in (1, 3, 40):
            edges = window_edges(*window, bins)
            assert_frame_equal(later.bins(edges, {}).select(COLUMNS), now.bins(edges, {}).select(COLUMNS))
            for each in (now, later):
                assert each.repeats(edges, {}).tolist() == most_touched(frame, edges)
    edges = window_edges(0, size, 9)
    who = {"processes": ((7, "parser"),)}
    assert_frame_equal(later.bins(edges, who), now.bins(edges, who))
    assert later.repeats(edges, who).tolist() == most_touched(frame.filter(pl.col("pid") == 7), edges)
    more = many(60, size, seed=3, first=60)
    for each in (now, later):
        each.extend(more)
    assert_frame_equal(later.bins(edges, {}), now.bins(edges, {}))
    assert now.total == later.total == pl.concat([frame, more]).filter(pl.col("op") == "read").height


def test_more_bytes_than_63_bits_are_left_to_the_index() -> None:
    huge = pl.DataFrame({"start": [0, 0], "end": [1 << 62, 1 << 62]})
    assert Tally.of(huge) is None
    one = Tally.of(huge.head(1))
    assert one is not None
    assert one.bins(np.array([0, 5, 1 << 62]))["distinct"].to_list() == [5, (1 << 62) - 5]


def test_a_view_of_many_accesses_shows_what_one_of_few_shows(
    trace: Callable[..., LiveTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = many(400, 5_000, seed=11).with_columns(time=pl.lit(BEGIN).cast(schema.EVENTS["time"]))
    few = explore(trace(frame), "sample.bin")
    monkeypatch.setattr(counts, "LARGE", 10)
    large = explore(trace(frame), "sample.bin")
    assert large.data().equals(few.data())
    assert large.scene.canvas.datasets == few.scene.canvas.datasets
    assert large.next_gap() == few.next_gap()
    for ops in ("write", "read", "both"):
        for view in (large, few):
            view.ops = ops
            view.whole()
            view.next_extent()
        assert large.window == few.window
    for view in (large, few):
        view.processes = 7
    assert large.data().equals(few.data())
