"""Runs against sets of integers."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.analysis.compare import (
    Run,
    _inversions,
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
several = settings(max_examples=120)


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
    shared = sorted(in_a.keys() & in_b.keys() & set(range(SIZE)))
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
    early = [
        (*mark, byte)
        for mark, byte in zip(marks, segments, strict=True)
        if any(mark[0] < other[0] and mark[1] > other[1] for other in marks)
    ]
    assert found["parts_at"] == (min(early)[2] if early else None)


def test_names_say_how_they_were_made() -> None:
    a, b = run([], "unzip"), run([], "pdftotext")
    assert (a & ~b).name == "unzip & ~pdftotext"
    assert (~(a | b)).name == "~(unzip | pdftotext)"
    assert ((a | b) & a).name == "(unzip | pdftotext) & unzip"
    assert (a - (b - a)).name == "unzip - (pdftotext - unzip)"


def test_names_read_back_as_the_set_they_name() -> None:
    a, b, c = run([(0, 5)], "a"), run([(3, 5)], "b"), run([(4, 7)], "c")
    signs = (operator.and_, operator.or_, operator.sub, operator.xor)
    for one, two in itertools.product(signs, signs):
        for made in (two(one(a, b), c), two(a, one(b, c)), ~one(a, b), one(~a, two(b, c))):
            read_back = eval(made.name, {"a": a, "b": b, "c": c})  # noqa: S307 - a formula of ours
            assert read_back == made, made.name


sized = st.tuples(extents, st.integers(0, 24))


@settings(max_examples=40)
@given(sized, sized, sized, st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_set_laws_hold_for_a_file_that_grew(
    one: tuple[list[tuple[int, int]], int],
    two: tuple[list[tuple[int, int]], int],
    three: tuple[list[tuple[int, int]], int],
    turned: tuple[bool, bool, bool],
) -> None:
    runs = [run(pairs, name, size) for name, (pairs, size) in zip("abc", (one, two, three), strict=True)]
    a, b, c = (~each if turn else each for each, turn in zip(runs, turned, strict=True))
    assert ~~a == a
    assert ~(a | b) == ~a & ~b
    assert ~(a & b) == ~a | ~b
    assert a - b == a & ~b
    assert a ^ b == (a - b) | (b - a)
    assert (a - b) | (a & b) == a
    assert not (a - b) & (a & b)
    assert a & (b | ~c) == (a & b) | (a - c)
    assert (a | b) - (a & b) == (a ^ b)
    assert hash(~~a | (a & b)) == hash(a)
    assert hash(~(a & b)) == hash(~a | ~b)


@settings(max_examples=60)
@given(sized, sized)
def test_what_a_smaller_file_lacked_was_not_read(
    one: tuple[list[tuple[int, int]], int], two: tuple[list[tuple[int, int]], int]
) -> None:
    a, b = run(*one[:1], "a", one[1]), run(*two[:1], "b", two[1])
    largest = max(a.size, b.size)
    everything = set(range(largest))
    assert members(b & ~a) == members(b) - members(a)
    assert members(~a | b) == (everything - members(a)) | members(b)
    assert members(~a) == set(range(a.size)) - members(a)
    assert len(~a) == a.size - len(a)
    table = differential({"not a": ~a, "b": b})
    assert table["length"].sum() == largest
    assert dict(
        zip(("not a", "b"), table.select(pl.col("not a", "b").dot("length")).row(0), strict=True)
    ) == {
        "not a": largest - len(a),
        "b": len(b),
    }


def test_a_file_that_grew() -> None:
    small, large = run([(0, 4)], "small", 4), run([(2, 6)], "large", 10)
    assert (small | large).size == 10
    assert members(~(small | large)) == {8, 9}
    assert list(large & ~small) == list(large - small) == [(4, 8)]
    assert list(~small) == []
    assert ~small == ~run([(0, 4)], size=10)
    assert hash(~small) == hash(~run([(0, 4)], size=10))
    assert list(nobody([small, large]).select("start", "end").iter_rows()) == [(8, 10)]


def test_only_runs_combine() -> None:
    with pytest.raises(TypeError):
        run([]) & {1, 2}  # type: ignore[operator]
    assert run([]) != "a"


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


def test_readers_without_a_name_and_names_like_ours_are_not_lost() -> None:
    events = pl.DataFrame(
        {
            "op": ["read"] * 4,
            "start": [0, 4, 8, 12],
            "end": [4, 8, 12, 16],
            "process": [None, "cat [2]", "cat", "cat"],
            "pid": [None, 9, 2, 3],
            "handle": [None, 1, 1, 2],
        }
    )
    processes = runs_by_process(events, SIZE)
    assert sorted(next(iter(each)) for each in processes.values()) == [(0, 4), (4, 8), (8, 12), (12, 16)]
    assert list(runs_by_handle(events, SIZE)[None]) == [(0, 4)]  # type: ignore[index]
    table = differential([run([(0, 1)], "start"), run([(1, 1)], "=start"), run([(2, 1)], "readers")])
    assert table.columns[5:] == ["=start", "==start", "=readers"]
    assert table.head(3).select(pl.nth(5, 6, 7)).rows() == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_where_orders_part() -> None:
    forward = run([(at, 1) for at in range(10)], "a")
    other = run([(9, 1), *((at, 1) for at in range(9))], "b")
    assert order_differences(forward, other).row(0) == (10, 9, 0.2, 0)
    assert order_differences(other, forward).row(0) == (10, 9, 0.2, 9)
    assert order_differences(forward, run([(0, 10)], "c")).row(0) == (10, 0, 0.0, None)


@several
@given(st.lists(st.integers(0, 9), max_size=40))
def test_inversions_against_all_pairs(ranks: list[int]) -> None:
    falling = sum(x > y for x, y in itertools.combinations(ranks, 2))
    assert _inversions(np.array(ranks, np.int64)) == falling


def test_refusals() -> None:
    with pytest.raises(BadInput, match="at least one run"):
        differential([])
    with pytest.raises(BadInput, match="one name"):
        differential([run([]), run([])])
    with pytest.raises(BadInput, match="no order"):
        order_differences(run([]) | run([]), run([]))
    unordered = Run.of(pl.DataFrame({"start": [0], "end": [4]}), "plain", SIZE)
    with pytest.raises(BadInput, match="plain has no order"):
        order_differences(run([]), unordered)
