from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from fmrw.analysis import ranges
from fmrw.errors import BadInput, BadRange

if TYPE_CHECKING:
    from collections.abc import Callable

UNIVERSE = 24
HUGE = 2**62

# zero-length and reversed pairs are in on purpose, and so are extents past the end of the universe
pairs = st.lists(st.tuples(st.integers(0, UNIVERSE + 6), st.integers(0, UNIVERSE + 6)), max_size=12)
moderate = settings(max_examples=60)


def frame(extents: list[tuple[int, int]]) -> pl.DataFrame:
    return pl.DataFrame(extents, schema=ranges.RANGE, orient="row")


def events(extents: list[tuple[int, int]], ops: str = "read", pids: tuple[int, ...] = (7,)) -> pl.DataFrame:
    rows = frame(extents).with_row_index("seq").with_columns(pl.col("seq").cast(pl.Int64) * 3)
    return rows.with_columns(
        op=pl.lit(ops),
        pid=pl.Series([pids[i % len(pids)] for i in range(len(extents))], dtype=pl.Int32),
        process=pl.Series([f"p{pids[i % len(pids)]}" for i in range(len(extents))], dtype=pl.String),
    )


def held(extents: list[tuple[int, int]]) -> set[int]:
    return {byte for start, end in extents for byte in range(start, end)}


def bytes_of(answer: pl.DataFrame) -> set[int]:
    return held(answer.select("start", "end").rows())


def runs(present: set[int]) -> list[tuple[int, int]]:
    starts = sorted(byte for byte in present if byte - 1 not in present)
    ends = sorted(byte + 1 for byte in present if byte + 1 not in present)
    return list(zip(starts, ends, strict=True))


@moderate
@given(pairs, pairs)
def test_set_verbs_equal_sets_of_bytes(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    x, y = frame(a), frame(b)
    assert ranges.merge(x).rows() == runs(held(a))
    assert ranges.union(x, y).rows() == runs(held(a) | held(b))
    assert ranges.intersect(x, y).rows() == runs(held(a) & held(b))
    assert ranges.subtract(x, y).rows() == runs(held(a) - held(b))
    assert ranges.complement(x, UNIVERSE).rows() == runs(set(range(UNIVERSE)) - held(a))


@moderate
@given(pairs, pairs)
def test_laws_of_sets(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    x, y = frame(a), frame(b)
    size = UNIVERSE + 6

    def outside(extents: pl.DataFrame) -> pl.DataFrame:
        return ranges.complement(extents, size)

    both, rest = ranges.intersect(x, y), ranges.subtract(x, y)
    assert ranges.intersect(both, rest).is_empty()
    assert_frame_equal(ranges.union(both, rest), ranges.merge(x))
    assert_frame_equal(outside(outside(x)), ranges.merge(x))
    assert_frame_equal(outside(ranges.union(x, y)), ranges.intersect(outside(x), outside(y)))
    assert_frame_equal(outside(ranges.intersect(x, y)), ranges.union(outside(x), outside(y)))
    assert_frame_equal(ranges.merge(ranges.merge(x)), ranges.merge(x))


@moderate
@given(pairs, st.integers(0, UNIVERSE), st.integers(0, UNIVERSE))
def test_select_keeps_what_shares_a_byte(extents: list[tuple[int, int]], start: int, length: int) -> None:
    window = set(range(start, start + length))
    kept = ranges.select(frame(extents), start, start + length).rows()
    assert kept == [pair for pair in extents if held([pair]) & window]


@moderate
@given(pairs, pairs)
def test_overlap_pairs_what_shares_a_byte(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    found = ranges.overlap(frame(a), frame(b))
    expected = [(*x, *y, max(x[0], y[0]), min(x[1], y[1])) for x in a for y in b if held([x]) & held([y])]
    assert found.columns == ["start", "end", "start_", "end_", "overlap_start", "overlap_end"]
    assert sorted(found.rows()) == sorted(expected)


@moderate
@given(pairs, pairs)
def test_covered_counts_each_byte_of_a_region_once(
    regions: list[tuple[int, int]], extents: list[tuple[int, int]]
) -> None:
    found = ranges.covered(frame(regions).with_row_index("name"), frame(extents))
    expected = [len(held([region]) & held(extents)) for region in regions]
    assert found["covered"].to_list() == expected
    assert found["name"].to_list() == list(range(len(regions)))


@moderate
@given(pairs, st.integers(0, UNIVERSE))
def test_coverage_splits_at_the_size(extents: list[tuple[int, int]], size: int) -> None:
    row = ranges.coverage(frame(extents), size).row(0, named=True)
    inside = held(extents) & set(range(size))
    assert row["size"] == size
    assert row["covered"] == len(inside)
    assert row["gaps"] == size - len(inside)
    assert row["beyond"] == len(held(extents) - inside)
    assert row["share"] == (len(inside) / size if size else None)


@moderate
@given(pairs)
def test_depth_and_rereads_count_extents_per_byte(extents: list[tuple[int, int]]) -> None:
    def times(byte: int) -> int:
        return sum(start <= byte < end for start, end in extents)

    profile = ranges.depth(frame(extents))
    assert {b: d for s, e, d in profile.rows() for b in range(s, e)} == {b: times(b) for b in held(extents)}
    again = ranges.rereads(events(extents))
    assert {b: n for s, e, n in again.rows() for b in range(s, e)} == {
        b: times(b) for b in held(extents) if times(b) > 1
    }
    assert again.columns == ["start", "end", "reads"]
    assert ranges.rereads(events(extents, ops="write")).is_empty()
    for before, after in zip(profile.rows(), profile.rows()[1:], strict=False):
        assert before[1] < after[0] or before[2] != after[2]


@moderate
@given(pairs, st.randoms(use_true_random=False))
def test_first_touch_equals_painting_in_order(extents: list[tuple[int, int]], random: object) -> None:
    first: dict[int, int] = {}
    for seq, (start, end) in enumerate(extents):
        for byte in range(start, end):
            first.setdefault(byte, 3 * seq)
    shuffled = events(extents).sample(fraction=1, shuffle=True, seed=random.randrange(99))
    found = ranges.first_touch(shuffled)
    assert {b: seq for s, e, seq in found.rows() for b in range(s, e)} == first
    for before, after in zip(found.rows(), found.rows()[1:], strict=False):
        assert before[1] < after[0] or (before[1] == after[0] and before[2] != after[2])


@moderate
@given(pairs)
def test_by_process_merges_each_process_alone(extents: list[tuple[int, int]]) -> None:
    found = ranges.by_process(events(extents, pids=(9, 7)))
    expected = [
        (pid, f"p{pid}", start, end)
        for pid, own in ((7, extents[1::2]), (9, extents[0::2]))
        for start, end in runs(held(own))
    ]
    assert found.rows() == expected


VERBS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "select": lambda f: ranges.select(f, 3, 9),
    "merge": ranges.merge,
    "union": lambda f: ranges.union(f, frame([(1, 2)])),
    "intersect": lambda f: ranges.intersect(f, frame([(1, 2), (4, 8)])),
    "subtract": lambda f: ranges.subtract(f, frame([(1, 2), (4, 5)])),
    "complement": lambda f: ranges.complement(f, 20),
    "by_process": ranges.by_process,
    "overlap": lambda f: ranges.overlap(f, frame([(4, 5)])),
    "covered": lambda f: ranges.covered(f, frame([(4, 5)])),
    "coverage": lambda f: ranges.coverage(f, 20),
    "depth": ranges.depth,
    "rereads": ranges.rereads,
    "first_touch": ranges.first_touch,
}


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize("extents", [[(2, 6), (4, 9), (4, 9), (12, 12)], []], ids=["some", "none"])
def test_a_lazy_frame_stays_lazy_and_says_the_same(name: str, extents: list[tuple[int, int]]) -> None:
    verb = VERBS[name]
    eager = events(extents)
    before = eager.clone()
    answer = verb(eager)
    lazy = verb(eager.lazy())
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect_schema() == answer.schema
    assert_frame_equal(lazy.collect(), answer, check_row_order=name != "overlap")
    assert_frame_equal(lazy.collect(engine="streaming"), answer, check_row_order=name != "overlap")
    assert_frame_equal(eager, before)


def test_the_answer_has_one_shape_whatever_comes_in() -> None:
    narrow = pl.DataFrame(
        {"end": [3, 9], "start": [1, 5], "note": ["a", "b"]}, schema_overrides={"start": pl.UInt8}
    )
    for verb in (ranges.merge, ranges.depth):
        assert verb(narrow).schema == verb(frame([])).schema | {}
    assert ranges.merge(narrow).schema == ranges.RANGE
    assert ranges.complement(narrow, 10).rows() == [(0, 1), (3, 5), (9, 10)]


def test_touching_extents_join_and_empty_ones_vanish() -> None:
    assert ranges.merge(frame([(4, 6), (0, 4), (9, 9), (8, 7)])).rows() == [(0, 6)]
    assert ranges.merge(pl.DataFrame({"start": [None, 1], "end": [3, 2]})).rows() == [(1, 2)]


def test_a_truncate_touches_no_byte() -> None:
    log = pl.DataFrame({"op": ["read", "truncate", "write"], "start": [0, 0, 8], "end": [4, 100, 9]})
    assert ranges.merge(log).rows() == [(0, 4), (8, 9)]
    assert ranges.select(log, 50, 60).is_empty()


def test_an_empty_file_has_no_gaps_and_no_share() -> None:
    assert ranges.complement(frame([]), 0).is_empty()
    assert ranges.complement(frame([(0, 5)]), 0).is_empty()
    assert ranges.coverage(frame([]), 0).row(0) == (0, 0, 0, 0, None)


def test_a_file_that_shrank_has_bytes_beyond_and_one_that_grew_has_a_gap() -> None:
    read = frame([(0, 100)])
    assert ranges.coverage(read, 60).row(0) == (60, 60, 0, 40, 1.0)
    assert ranges.complement(read, 60).is_empty()
    assert ranges.complement(read, 250).rows() == [(100, 250)]


def test_offsets_of_two_to_the_sixty_second() -> None:
    far = frame([(HUGE, HUGE + 5), (HUGE + 3, HUGE + 9), (0, 1), (HUGE - 1, HUGE)])
    assert ranges.merge(far).rows() == [(0, 1), (HUGE - 1, HUGE + 9)]
    assert ranges.complement(far, 2**63 - 1).rows() == [(1, HUGE - 1), (HUGE + 9, 2**63 - 1)]
    assert ranges.coverage(far, HUGE).row(0)[:4] == (HUGE, 2, HUGE - 2, 9)
    assert ranges.subtract(frame([(0, 2**63 - 1)]), far).rows() == [(1, HUGE - 1), (HUGE + 9, 2**63 - 1)]
    assert ranges.first_touch(events([(HUGE, HUGE + 5), (0, 2**63 - 1)])).rows() == [
        (0, HUGE, 3),
        (HUGE, HUGE + 5, 0),
        (HUGE + 5, 2**63 - 1, 3),
    ]
    assert ranges.covered(frame([(0, 2**63 - 1)]), far)["covered"].to_list() == [11]


@pytest.mark.parametrize(
    "wrong", [{"start": [1]}, {"start": [1.0], "end": [2.0]}, {"start": ["1"], "end": ["2"]}]
)
def test_a_frame_without_extents_is_refused(wrong: dict[str, list[object]]) -> None:
    with pytest.raises(BadInput, match="integer column"):
        ranges.merge(pl.DataFrame(wrong))


def test_a_backward_range_is_refused() -> None:
    with pytest.raises(BadRange, match="smaller offset first"):
        ranges.select(frame([]), 5, 4)
    with pytest.raises(BadRange):
        ranges.complement(frame([]), -1)
