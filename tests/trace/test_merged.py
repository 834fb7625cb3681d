from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.trace import merged, runs, schema

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator


@pytest.fixture(autouse=True, scope="module", params=[0, 1000], ids=["many", "few"])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Merge the same ranges by numpy and by polars alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merged, "_FEW", request.param)
        yield


event = st.tuples(
    st.sampled_from("ab"), st.sampled_from("pq"), st.integers(1, 2), st.sampled_from(["read", "write", "open", "truncate"]),
    st.integers(0, 40), st.integers(0, 9), st.sampled_from(["byte", "byte", "page"]),
)  # fmt: skip


def frame(events: list[tuple[Any, ...]]) -> pl.DataFrame:
    names = ("path", "process", "pid", "op", "start", "length", "fidelity")
    rows = [
        dict(zip(names, each, strict=True)) | {"seq": seq, "size": seq * 10, "requested": (seq * 7) % 5}
        for seq, each in enumerate(events)
    ]
    if not rows:
        return schema.empty().select(merged.NEEDED)
    made = pl.DataFrame(rows).with_columns(end=pl.col("start") + pl.col("length"))
    return made.select(pl.col(name).cast(schema.EVENTS[name]) for name in merged.NEEDED)


def touched(rows: pl.DataFrame) -> dict[tuple[Any, ...], set[int]]:
    found: dict[tuple[Any, ...], set[int]] = {}
    for path, op, start, end in rows.select("path", "op", "start", "end").rows():
        if op in {"read", "write"}:
            found.setdefault((path, op), set()).update(range(start, end))
    return {key: places for key, places in found.items() if places}


def check(rows: pl.DataFrame, found: pl.DataFrame) -> None:
    assert found.schema == merged.MERGED
    assert found.equals(found.sort(*merged.KEYS, "start"))
    assert touched(found) == touched(rows)
    counted = found.filter(pl.col("events") > 0)
    assert counted.select(merged.KEYS).is_duplicated().any() is False
    for key, part in rows.group_by(merged.KEYS):
        (row,) = [row for row in counted.to_dicts() if tuple(row[name] for name in merged.KEYS) == key]
        last = part.sort("seq").row(-1, named=True)
        moved = part.filter(pl.col("op").is_in(["read", "write"]), pl.col("end") > pl.col("start"))
        page = "page" in part["fidelity"].to_list()
        smallest = min((each for each in moved["requested"] if each), default=0)
        assert (row["events"], row["transfers"], row["seq"], row["size"], row["fidelity"] == "page", row["smallest"]) == (
            part.height, moved.height, last["seq"], last["size"], page, smallest,
        )  # fmt: skip
    assert counted.height == rows.select(merged.KEYS).n_unique()


@settings(max_examples=150, deadline=None)
@given(st.lists(event, max_size=25), st.integers(1, 25), st.sampled_from([0, 3, 1000]), st.randoms())
def test_batches_in_any_order_equal_brute_force(
    events: list[tuple[Any, ...]], size: int, by_process: int, chance: random.Random
) -> None:
    rows = frame(events)
    batches = list(rows.iter_slices(size))
    chance.shuffle(batches)
    merging = merged.Merging(by_process=by_process)
    for batch in batches:
        merging.add(batch)
        merging._settle()
    found = merging.frame()
    assert found is not None
    check(rows, found)
    own = found.filter(pl.col("end") > pl.col("start"), pl.col("pid") != merged.NOBODY_PID)
    for key, part in own.group_by(merged.KEYS):
        exact = set().union(*(range(s, e) for s, e in part.select("start", "end").rows()))
        where = [pl.col(name) == value for name, value in zip(merged.KEYS, key, strict=True)]
        assert exact == set().union(
            *(range(s, e) for s, e in rows.filter(*where).select("start", "end").rows())
        )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(event, st.integers(8, 12)), min_size=1, max_size=6), st.sampled_from([0, 1000]))
def test_runs_of_one_group_equal_brute_force(many: list[tuple[Any, int]], by_process: int) -> None:
    """Each event, and others of its group behind it, some of them in order and touching."""
    rows = frame(
        [(*one[:4], one[4] + n * (one[5] + n % 3), *one[5:]) for one, count in many for n in range(count)]
    )
    assert runs.begins(rows, merged.KEYS).sum() * merged._LONG <= rows.height
    merging = merged.Merging(by_process=by_process)
    merging.add(rows)
    check(rows, merging.frame())
    unsorted = merged.Merging(by_process=by_process)
    unsorted.add(rows.reverse())
    assert unsorted.frame().equals(merging.frame())


odd = st.tuples(
    st.sampled_from(["a", "b", None]), st.sampled_from(["p", None]), st.sampled_from([1, 2, None]),
    st.sampled_from(["read", "read", "write", "close", None]), st.sampled_from([-3, 0, 1, 2, 3, None]),
    st.sampled_from([-2, 0, 1, 2, 3, None]), st.sampled_from([0, 1, 4096, None]),
    st.sampled_from(["byte", "byte", "page", None]),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(odd, min_size=1, max_size=20), st.sampled_from([0, 2**53, 2**62]), st.sampled_from([0, 1000]))
def test_events_with_values_missing_or_wrong_merge_alike_by_numpy_and_by_polars(
    events: list[tuple[Any, ...]], base: int, by_process: int
) -> None:
    """As logs of others may have them, at any offset: ranges that end before they start, and what is not known."""
    names = ("path", "process", "pid", "op", "start", "length", "requested", "fidelity")
    made = pl.DataFrame(events, schema=names, orient="row").with_columns(
        pl.int_range(pl.len()).alias("seq"), pl.col("start") + base, size=pl.lit(7)
    )
    ranged = made.with_columns(end=pl.col("start") + pl.col("length"))
    rows = ranged.select(pl.col(name).cast(schema.EVENTS[name]) for name in merged.NEEDED)
    found = []
    for few, long in ((0, 0), (1000, merged._LONG)):
        merging = merged.Merging(by_process=by_process)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(merged, "_FEW", few)
            patch.setattr(merged, "_LONG", long)
            merging.add(rows)
            found.append(merging.frame())
    assert found[0].equals(found[1])


@pytest.mark.parametrize(
    ("ranges", "found"),
    [
        ([(0, 4), (4, 8), (8, 9)], [(0, 9)]),
        ([(0, 4), (5, 8), (8, 8), (8, 9)], [(0, 4), (5, 9)]),
        ([(5, 9), (9, 3), (3, 4)], [(3, 4), (5, 9)]),
        ([(0, 4), (2, 3), (3, 8), (20, 20)], [(0, 8)]),
        ([(2**62, 2**62 + 1), (2**62 + 1, 2**63 - 1), (0, 1)], [(0, 1), (2**62, 2**63 - 1)]),
    ],
)
def test_what_goes_on_where_the_one_before_ended_is_one_range(
    ranges: list[tuple[int, int]], found: list[tuple[int, int]]
) -> None:
    rows = frame([("a", "p", 1, "read", 0, 1, "byte")] * len(ranges))
    rows = rows.with_columns(pl.DataFrame(ranges, schema=["start", "end"], orient="row"))
    begun = runs.begins(rows, merged.KEYS)
    assert begun.tolist() == [True] + [False] * (len(ranges) - 1)
    _, joined = runs.summed(rows, merged.KEYS, begun, ("read", "write"))
    assert joined.select("start", "end").rows() == found


def test_a_lazy_frame_and_a_frame_merge_alike() -> None:
    rows = frame([("a", "p", 1, "read", n % 7, 3, "byte") for n in range(50)])
    assert merged.merged(rows.lazy()).equals(merged.merged(rows))
    assert merged.merged(schema.empty()).equals(merged.MERGED.to_frame())


@pytest.mark.parametrize(("most", "fits"), [(21, True), (20, False)])
def test_what_does_not_merge_is_given_up(most: int, fits: bool) -> None:  # noqa: FBT001 - the case
    merging = merged.Merging(most=most)
    for first in (0, 10):
        merging.add(frame([("a", "p", 1, "read", 10 * n, 1, "byte") for n in range(first, first + 10)]))
        merging._settle()
    assert (merging.frame() is not None) is fits
    merging.add(frame([("a", "p", 1, "read", 0, 1, "byte")]))
    assert (merging.frame() is not None) is fits


def test_processes_that_take_turns_are_held_together() -> None:
    turns = frame([("a", "p", n % 2, "read", n, 1, "byte") for n in range(40)])
    few, many = merged.Merging(by_process=40), merged.Merging(by_process=39)
    for merging in (few, many):
        merging.add(turns)
    assert few.frame().height == 40
    together = many.frame()
    assert together.select("pid", "start", "end", "events").rows() == [
        (merged.NOBODY_PID, 0, 40, 0), (0, 0, 0, 20), (1, 0, 0, 20),
    ]  # fmt: skip


@pytest.mark.parametrize("among", [0, 30])
def test_an_event_without_a_range_moves_nothing(among: int) -> None:
    """As logs of others may have it; alone, and in a run of one group."""
    rows = frame(
        [("a", "p", 1, "read", 4 * n, 4, "byte") for n in range(among)]
        + [("a", "p", 1, "read", 0, 0, "byte")] * 3
    )
    unknown = rows.with_columns(
        end=pl.when(pl.col("start") < pl.col("end")).then("end"),
        start=pl.when(pl.col("start") < pl.col("end")).then("start"),
    )
    found = merged.merged(unknown)
    assert found.select(pl.col("events", "transfers").sum()).row(0) == (among + 3, among)
    assert touched(found) == touched(rows)


def test_offsets_of_any_size() -> None:
    high = 2**62
    rows = frame([("a", "p", 1, "read", high, 5, "byte"), ("a", "p", 1, "read", high + 5, 5, "byte")])
    assert merged.merged(rows).filter(pl.col("end") > 0).select("start", "end").rows() == [(high, high + 10)]


@pytest.mark.parametrize("high", [0, 2**40, 2**61])
def test_many_ranges_at_any_offset_equal_brute_force(high: int) -> None:
    """Those of high offsets are sorted by two keys, since both do not fit into one number."""
    places = [(n * 7919 % 6000, n % 5) for n in range(6000)]
    rows = frame(
        [("ab"[n % 2], "p", 1, "read", high + at, size, "byte") for n, (at, size) in enumerate(places)]
    )
    found = merged.merged(rows).filter(pl.col("end") > pl.col("start"))
    for name in "ab":
        held = {at + k for n, (at, size) in enumerate(places) if "ab"[n % 2] == name for k in range(size)}
        starts = sorted(byte for byte in held if byte - 1 not in held)
        ends = sorted(byte + 1 for byte in held if byte + 1 not in held)
        own = found.filter(path=name).select("start", "end").rows()
        assert own == [(high + a, high + b) for a, b in zip(starts, ends, strict=True)]


def test_long_runs_equal_brute_force() -> None:
    """Batches in which one group goes on and on are merged run by run."""
    read = [("a", "p", 1, "read", place * 7 % 60, place % 4, "byte") for place in range(200)]
    written = [("a", "p", 1, "write", place, 5, "page") for place in range(200)]
    rows = frame([*read, *written, ("b", "q", 2, "open", 0, 0, "byte"), *read])
    check(rows, merged.merged(rows))
    unknown = rows.with_columns(requested=pl.lit(None, pl.Int64))
    assert merged.merged(unknown)["smallest"].unique().to_list() == [0]
