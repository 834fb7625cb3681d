"""Thinned accesses against loops over every single one."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.figures.thinning import SEVERAL, runs_of, thin, tiles_of
from fmrw.trace.schema import EVENTS

SIZE, TIMES, OFFSETS = 100, 4, 5
KINDS = ["a", "b"]
ranges = st.integers(0, SIZE + 20).flatmap(
    lambda start: st.tuples(st.just(start), st.integers(start + 1, SIZE + 40))
)
accesses = st.lists(
    st.tuples(
        ranges, st.sampled_from(["read", "write"]), st.sampled_from(KINDS), st.booleans(), st.integers(1, 3)
    ),
    min_size=1,
    max_size=30,
)
Access = tuple[tuple[int, int], str, str, bool, int]


def frame(log: list[Access]) -> pl.DataFrame:
    rows = [
        {"t": float(n), "t2": float(n), "start": start, "end": end, "op": op, "kind": kind, "handle": handle}
        | {"fidelity": "page" if page else "byte"}
        for n, ((start, end), op, kind, page, handle) in enumerate(log)
    ]
    kinds = {"op": EVENTS["op"], "fidelity": EVENTS["fidelity"], "kind": pl.Enum(KINDS)}
    return pl.DataFrame(rows).cast(kinds)  # type: ignore[arg-type] # types of polars


def joined(log: list[Access]) -> list[dict[str, Any]]:
    lines: dict[tuple[str, str, int], dict[str, Any]] = {}
    made = []
    for n, ((start, end), op, kind, page, handle) in enumerate(log):
        line = lines.get((op, kind, handle))
        if line is None or line["end"] != start:
            line = {"t": float(n), "start": start, "op": op, "kind": kind, "page": False}
            made.append(line)
            lines[op, kind, handle] = line
        line |= {"t2": float(n), "end": end, "page": line["page"] or page}
    return made


def tiled(log: list[Access], last: float) -> set[tuple[str, str, bool, int, int]]:
    """Give operation, kind, fidelity, column and tile of everything that was touched."""
    high = -(-SIZE // OFFSETS)
    seen = defaultdict(list)
    for n, ((start, end), op, kind, page, _handle) in enumerate(log):
        column = min(int(n / (last / TIMES)), TIMES - 1)
        for tile in range(start // high, min((end - 1) // high + 1, OFFSETS)):
            seen[op, column, tile].append((kind, page))
    return {
        (
            op,
            kinds.pop() if len(kinds := {kind for kind, _ in held}) == 1 else SEVERAL,
            any(p for _, p in held),
            x,
            y,
        )
        for (op, x, y), held in seen.items()
    }


@settings(max_examples=60)
@given(accesses)
def test_runs_equal_joining_one_after_the_other(log: list[Access]) -> None:
    expected = joined(log)
    found = runs_of(frame(log), len(expected))
    assert found is not None
    columns = ["t", "t2", "start", "end", "op", "kind", "page"]
    assert found.select(columns).rows(named=True) == [
        {name: row[name] for name in columns} for row in expected
    ]
    assert runs_of(frame(log), len(expected) - 1) is None


@settings(max_examples=60)
@given(accesses)
def test_tiles_equal_looking_at_every_access(log: list[Access]) -> None:
    last = max(len(log) - 1, 1)
    high, wide = -(-SIZE // OFFSETS), last / TIMES
    found = tiles_of(frame(log), SIZE, last, TIMES, OFFSETS)
    marked = [
        (op, kind, page, int(t / wide), tile)
        for op, kind, page, t, start, end in found.select("op", "kind", "page", "t", "start", "end").rows()
        for tile in range(start // high, -(-end // high))
    ]
    assert len(marked) == len(set(marked))
    assert set(marked) == tiled(log, last)


def test_the_last_tile_ends_with_the_file() -> None:
    """103 bytes in five tiles of 21: what is drawn of the last ends at 103, and what lies behind the file is not drawn."""
    log: list[Access] = [((80, 120), "read", "a", False, 1), ((103, 110), "write", "a", False, 1)]
    found = tiles_of(frame(log), 103, 1, 1, 5)
    assert found.select("op", "start", "end").rows() == [("read", 63, 103)]


@pytest.mark.parametrize("other", [2, 10**9])
def test_handles_are_told_apart_however_large_their_numbers(other: int) -> None:
    log: list[Access] = [((n, n + 1), "read", "a", False, handle) for n in range(40) for handle in (1, other)]
    shown = thin(frame(log), SIZE, 79, 10)
    assert shown.rows.select("start", "end").rows() == [(0, 40)] * 2
    assert "drawn as one line" in shown.note
