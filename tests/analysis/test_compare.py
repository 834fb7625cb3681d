"""Runs against sets of integers."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.analysis.checks import check
from fmrw.analysis.compare import (
    Run,
    agreement,
    differential,
    nobody,
    only_one,
    order_differences,
    runs_by_handle,
    runs_by_process,
)
from fmrw.errors import BadInput

SIZE = 20
extents = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 6)), max_size=6)
several = settings(max_examples=120, deadline=None)


def run(pairs: list[tuple[int, int]], name: str = "a", size: int = SIZE) -> Run:
    rows = [(seq, start, start + length) for seq, (start, length) in enumerate(pairs)]
    return Run.of(
        pl.DataFrame(rows, schema={"seq": pl.Int64, "start": pl.Int64, "end": pl.Int64}, orient="row"),
        name,
        size,
    )


def members(one: Run) -> set[int]:
    return {byte for start, end in one for byte in range(start, end)}


@several
@given(extents, extents)
def test_set_laws(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    a, b = run(one), run(two, "b")
    assert members(a & b) == members(a) & members(b)
    assert members(a | b) == members(a) | members(b)
    assert members(a - b) == members(a) - members(b)
    assert members(a ^ b) == members(a) ^ members(b)
    assert members(~a) == set(range(SIZE)) - members(a)
    assert (a - b) | (a & b) == a
    assert not (a - b) & (a & b)
    assert ~~a == a
    assert ~(a | b) == ~a & ~b
    assert ~(a & b) == ~a | ~b
    assert len(a) == len(members(a))
    assert all((byte in a) == (byte in members(a)) for byte in range(SIZE))


@several
@given(st.lists(extents, min_size=1, max_size=3))
def test_the_differential_says_who_read_each_byte(pairs: list[list[tuple[int, int]]]) -> None:
    runs = {name: run(each, name) for name, each in zip("abc", pairs, strict=False)}
    table = differential(runs)
    assert table["start"].to_list() == [0, *table["end"].to_list()[:-1]]
    assert table["end"][-1] == SIZE
    for row in table.iter_rows(named=True):
        for byte in range(row["start"], row["end"]):
            readers = [name for name, each in runs.items() if byte in members(each)]
            assert row["readers"] == ", ".join(readers)
            assert row["count"] == len(readers)
            assert all(row[name] == (name in readers) for name in runs)
    assert table["readers"].rle_id().is_unique().all()
    alone = {byte for start, end, *_ in only_one(runs).iter_rows() for byte in range(start, end)}
    assert alone == {b for b in range(SIZE) if sum(b in members(each) for each in runs.values()) == 1}
    unread = {byte for start, end, _ in nobody(runs).iter_rows() for byte in range(start, end)}
    assert unread == set(range(SIZE)) - set().union(*map(members, runs.values()))


@several
@given(extents, extents)
def test_jaccard(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    a, b = run(one), run(two, "b")
    found = agreement([a, b])["jaccard"][0]
    union = members(a) | members(b)
    assert found == (len(members(a) & members(b)) / len(union) if union else None)


@several
@given(extents, extents)
def test_order_against_all_pairs(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    a, b = run(one), run(two, "b")

    def first(pairs: list[tuple[int, int]]) -> dict[int, int]:
        touched: dict[int, int] = {}
        for seq, (start, length) in enumerate(pairs):
            for byte in range(start, start + length):
                touched.setdefault(byte, seq)
        return touched

    in_a, in_b = first(one), first(two)
    shared = sorted(in_a.keys() & in_b.keys())
    segments = [
        byte
        for byte in shared
        if byte - 1 not in in_a
        or byte - 1 not in in_b
        or (in_a[byte - 1], in_b[byte - 1]) != (in_a[byte], in_b[byte])
    ]
    marks = [(in_a[byte], in_b[byte]) for byte in segments]
    inverted = sum((x[0] - y[0]) * (x[1] - y[1]) < 0 for i, x in enumerate(marks) for y in marks[i + 1 :])
    found = order_differences(a, b).row(0, named=True)
    assert found["segments"] == len(segments)
    assert found["inversions"] == inverted
    assert (found["parts_at"] is None) == (inverted == 0)


def test_names_say_how_they_were_made() -> None:
    a, b = run([], "unzip"), run([], "pdftotext")
    assert (a & ~b).name == "unzip & ~pdftotext"
    assert (~(a | b)).name == "~(unzip | pdftotext)"
    assert ((a | b) & a).name == "(unzip | pdftotext) & unzip"
    assert (a - (b - a)).name == "unzip - (pdftotext - unzip)"


def test_sizes_may_differ() -> None:
    small, large = run([(0, 4)], "small", 4), run([(2, 6)], "large", 10)
    assert (small | large).size == 10
    assert members(~(small | large)) == {8, 9}


def test_empty_file() -> None:
    a = run([], size=0)
    assert a.share is None
    assert differential([a]).height == 0


def test_runs_of_a_session() -> None:
    events = pl.DataFrame(
        {
            "seq": [0, 1, 2, 3],
            "op": ["read", "read", "write", "read"],
            "start": [0, 4, 0, 8],
            "end": [4, 8, 9, 9],
            "process": ["sh", "cat", "cat", "cat"],
            "pid": [1, 2, 2, 3],
            "handle": [1, 1, 2, 3],
        }
    )
    assert {name: list(each) for name, each in runs_by_process(events, 10).items()} == {
        "sh": [(0, 4)],
        "cat [2]": [(4, 8)],
        "cat [3]": [(8, 9)],
    }
    assert [list(each) for each in runs_by_handle(events, 10).values()] == [[(0, 8)], [(8, 9)]]


def test_refusals() -> None:
    with pytest.raises(BadInput, match="at least one run"):
        differential([])
    with pytest.raises(BadInput, match="one name"):
        differential([run([]), run([])])
    with pytest.raises(BadInput, match="no order"):
        order_differences(run([]) | run([]), run([]))


@several
@given(extents, st.tuples(st.integers(0, 20), st.integers(1, 6)), st.floats(0, 100))
def test_expectations(pairs: list[tuple[int, int]], asked: tuple[int, int], least: float) -> None:
    read = run(pairs)
    span = (asked[0], asked[0] + asked[1])
    wanted = set(range(*span))
    covered = {byte for start, length in pairs for byte in range(start, start + length)}
    frame = Run.of(read.events, "a", 64).extents  # type: ignore[arg-type]
    missing = check(frame, SIZE, reads=[span])
    assert {b for v in missing for s, e in v.offending for b in range(s, e)} == wanted - covered
    touched = check(frame, SIZE, never=[span])
    assert {b for v in touched for s, e in v.offending for b in range(s, e)} == wanted & covered
    share = 100 * len(covered & set(range(SIZE))) / SIZE
    assert bool(check(frame, SIZE, fail_under=least)) == (share < least)
