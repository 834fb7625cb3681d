from __future__ import annotations

import math
import time
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from fmrw.analysis.index.remainder import Remainder
from fmrw.analysis.index.tiles import (
    BINS,
    Index,
    accesses,
    hilbert,
    repeats,
    row_major,
    square_edges,
    window_edges,
)
from fmrw.errors import BadInput, BadRange
from fmrw.trace.schema import EVENTS, transfers

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIVERSE = 40
HUGE = 2**62
EPOCH = datetime(2024, 5, 1, tzinfo=UTC)
WHO = [
    (10, "7z", 10, 1, 1),
    (10, "7z", 11, 2, 2),
    (20, "unzip", 20, 3, None),
    (20, "sh", 20, 4, 1),
]  # pid, process, tid, handle, site

Event = tuple[int, int, str, int]  # start, end, op, index into WHO
moderate = settings(max_examples=50)
ops = st.sampled_from(["read", "write", "read", "truncate"])
event = st.tuples(st.integers(0, UNIVERSE), st.integers(0, UNIVERSE), ops, st.integers(0, len(WHO) - 1))
logs = st.lists(event, max_size=30)
cuts = st.lists(st.integers(0, UNIVERSE + 3), min_size=1, max_size=9).map(sorted)


def frame(log: list[Event], first: int = 0) -> pl.DataFrame:
    rows = [
        {
            "seq": 2 * seq,
            "time": EPOCH + timedelta(seconds=seq),
            "op": op,
            "path": "f",
            "start": start,
            "end": end,
        }
        | dict(zip(("pid", "process", "tid", "handle", "site"), WHO[who], strict=True))
        for seq, (start, end, op, who) in enumerate(log, first)
    ]
    return pl.DataFrame(rows, schema=EVENTS)


def brute(events: pl.DataFrame, edges: list[int]) -> list[tuple[Any, ...]]:
    """Count byte by byte."""
    rows = [row for row in events.iter_rows(named=True) if row["op"] in ("read", "write")]
    table = []
    for number, (low, high) in enumerate(pairwise(edges)):
        shared = [(set(range(low, high)) & set(range(row["start"], row["end"])), row) for row in rows]
        shared = [(held, row) for held, row in shared if held]
        first = min((row["seq"] for _, row in shared), default=None)
        when = next((row["time"] for _, row in shared if row["seq"] == first), None)
        distinct = set().union(*(held for held, _ in shared))
        touched = sum(len(held) for held, _ in shared)
        table.append((number, low, high, touched, len(shared), len(distinct), first, when))
    return table


@moderate
@given(logs, cuts)
def test_every_figure_equals_counting_byte_by_byte(log: list[Event], edges: list[int]) -> None:
    events = frame(log)
    assert Index.build(events).bins(np.array(edges)).rows() == brute(events, edges)


@moderate
@given(logs, cuts)
def test_counting_once_equals_counting_byte_by_byte(log: list[Event], edges: list[int]) -> None:
    events = frame(log)
    assert accesses(transfers(events), np.array(edges)).tolist() == [row[4] for row in brute(events, edges)]


def deepest(events: pl.DataFrame, edges: list[int]) -> list[int]:
    """Count for each byte who touched it; the largest count of each bin."""
    rows = transfers(events).rows(named=True)
    touched = Counter(place for row in rows for place in range(row["start"], row["end"]))
    return [max((touched[place] for place in range(*pair)), default=0) for pair in pairwise(edges)]


def test_reads_that_meet_in_a_bin_touch_no_byte_twice() -> None:
    events = frame([(0, 10, "read", 0), (10, 20, "read", 0), (20, 30, "read", 0)])
    index, edges = Index.build(events), np.array([0, 8, 12, 20, 30, 40])
    assert index.bins(edges)["accesses"].to_list() == [1, 2, 1, 1, 0]
    assert index.repeats(edges).tolist() == [1, 1, 1, 1, 0]
    twice = Index.build(pl.concat([events, frame([(11, 12, "read", 0)], first=3)]))
    assert twice.repeats(edges).tolist() == [1, 2, 1, 1, 0]


@moderate
@given(logs, cuts)
def test_repeats_equal_counting_byte_by_byte(log: list[Event], edges: list[int]) -> None:
    events = frame(log)
    assert Index.build(events).repeats(np.array(edges)).tolist() == deepest(events, edges)
    assert repeats(transfers(events), np.array(edges)).tolist() == deepest(events, edges)


@moderate
@given(logs, cuts, st.lists(st.integers(0, 30), max_size=4).map(sorted))
def test_repeats_of_an_index_that_grew(log: list[Event], edges: list[int], cut_at: list[int]) -> None:
    events, index = frame(log), Index()
    for first, last in pairwise([0, *cut_at, len(log)]):
        index.extend(events[first:last])
        assert index.repeats(np.array(edges)).tolist() == deepest(events[: max(last, 0)], edges)
        writes = events[:last].filter(op="write")
        assert index.repeats(np.array(edges), op="write").tolist() == deepest(writes, edges)


def test_repeats_of_many_with_a_few_more_equal_all_at_once() -> None:
    rng = np.random.default_rng(5)
    starts = rng.integers(0, 100_000, 5_000)
    many = [
        (int(start), int(start + length), "read", 0)
        for start, length in zip(starts, rng.integers(1, 900, 5_000), strict=True)
    ]
    grown, edges = Index(), np.unique(rng.integers(0, 101_000, 700))
    grown.extend(frame(many[:4_000]))
    grown.repeats(edges)
    for at in range(4_000, 5_000, 100):
        grown.extend(frame(many[at : at + 100], first=at))
        assert grown.repeats(edges).tolist() == Index.build(frame(many[: at + 100])).repeats(edges).tolist()
    assert grown.repeats(edges).tolist() == deepest(frame(many), edges.tolist())


@moderate
@given(logs, cuts, st.data())
def test_an_index_that_grew_equals_one_that_was_built(
    log: list[Event], edges: list[int], data: st.DataObject
) -> None:
    events = frame(log)
    if data.draw(st.booleans()):  # late news: sequence numbers out of order between the pieces
        events = events.sample(fraction=1, shuffle=True, seed=data.draw(st.integers(0, 9)))
    index = Index.build(events.clear())
    done = 0
    while done < len(events):
        step = data.draw(st.integers(1, 8))
        index.extend(events[done : done + step])
        done += step
        if data.draw(st.booleans()):
            assert index.bins(np.array(edges), op="read").rows() == brute(
                events[:done].filter(pl.col("op") == "read"), edges
            )
    assert index.bins(np.array(edges)).rows() == brute(events.sort("seq"), edges)


FILTERS: dict[str, tuple[dict[str, Any], pl.Expr]] = {
    "op": ({"op": "write"}, pl.col("op") == "write"),
    "one process": ({"processes": [(20, "sh")]}, pl.col("process") == "sh"),
    "two processes": (
        {"processes": [(20, "sh"), (10, "7z"), (10, "unzip")]},
        pl.col("process").is_in(["sh", "7z"]),
    ),
    "many processes": (
        {"processes": [(pid, "unzip") for pid in range(10, 30)] * 2},
        pl.col("process") == "unzip",
    ),
    "nobody": ({"processes": []}, pl.lit(value=False)),
    "no thread": ({"tids": []}, pl.lit(value=False)),
    "threads": ({"tids": [11, 20]}, pl.col("tid").is_in([11, 20])),
    "handles": ({"handles": [2, 4, 99]}, pl.col("handle").is_in([2, 4])),
    "sites": ({"sites": [1, 7]}, pl.col("site") == 1),
    "no site": ({"sites": []}, pl.lit(value=False)),
    "since": ({"since": EPOCH + timedelta(seconds=3)}, pl.col("seq") >= 6),
    "until, half-open": ({"until": EPOCH + timedelta(seconds=3)}, pl.col("seq") < 6),
    "zones": (
        {
            "since": (EPOCH + timedelta(seconds=2)).replace(tzinfo=None),
            "until": (EPOCH + timedelta(seconds=9)).astimezone(timezone(timedelta(hours=5))),
        },
        pl.col("seq").is_between(4, 18, closed="left"),
    ),
    "all at once": (
        {"op": "read", "processes": [(10, "7z")], "tids": [10], "since": EPOCH},
        (pl.col("op") == "read") & (pl.col("tid") == 10),
    ),
}


@pytest.mark.parametrize("name", FILTERS)
@settings(max_examples=15)
@given(log=logs, edges=cuts)
def test_a_filter_equals_filtering_before(name: str, log: list[Event], edges: list[int]) -> None:
    options, condition = FILTERS[name]
    events = frame(log)
    index = Index.build(events[: len(log) // 2])
    index.bins(np.array(edges), **options)
    index.extend(events[len(log) // 2 :])
    assert index.bins(np.array(edges), **options).rows() == brute(events.filter(condition), edges)


def test_events_without_call_sites_are_of_none() -> None:
    index = Index.build(frame([(0, 4, "read", 0)]).drop("site"))
    assert index.bins((0, 4, 1), sites=[1])["accesses"].to_list() == [0]


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand where local time is ten hours behind UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "XXX+10")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
def test_a_time_without_a_zone_is_utc_wherever_one_is() -> None:
    index = Index.build(frame([(0, 4, "read", 0), (4, 8, "read", 0), (8, 12, "read", 0)]))
    second = (EPOCH + timedelta(seconds=1)).replace(tzinfo=None)
    assert index.bins((0, 12, 3), since=second)["accesses"].to_list() == [0, 1, 1]
    assert index.bins((0, 12, 3), until=second)["accesses"].to_list() == [1, 0, 0]


def test_events_of_one_frame_out_of_order_are_told_in_the_order_they_happened() -> None:
    late = frame([(0, 8, "read", 0), (0, 4, "read", 1), (4, 8, "read", 2)]).reverse()
    found = Index.build(late).bins(np.array([0, 4, 8]))
    assert found["first_touch"].to_list() == [0, 0]
    assert found["first_time"].to_list() == [EPOCH, EPOCH]
    assert Index.build(late).bins(np.array([0, 4, 8]), handles=[2, 3])["first_touch"].to_list() == [2, 4]


def test_an_extent_that_ends_where_a_bin_begins_is_not_in_it() -> None:
    events = frame([(0, 4, "read", 0), (8, 12, "read", 0)])
    edges = np.array([0, 4, 8, 12])
    assert accesses(events, edges).tolist() == [1, 0, 1]
    found = Index.build(events).bins(edges)
    assert found["accesses"].to_list() == [1, 0, 1]
    assert found["bytes"].to_list() == found["distinct"].to_list() == [4, 0, 4]
    assert found["first_touch"].to_list() == [0, None, 2]
    assert repeats(events, edges).tolist() == Index.build(events).repeats(edges).tolist() == [1, 0, 1]


@pytest.mark.parametrize("longest", [6, 300])
def test_leaving_few_out_equals_filtering_before(longest: int) -> None:
    random = np.random.default_rng(6)
    count, size = 240, 300
    start, length = random.integers(0, size, count), random.integers(1, longest, count)
    log = [
        (int(a), int(a + n), "read", int(k))
        for a, n, k in zip(start, length, random.integers(0, 4, count), strict=True)
    ]
    events, kept = frame(log), [who[:2] for who in WHO[:3]]
    index = Index.build(events[:200])
    first = index.bins((0, size, 40), processes=kept)
    assert isinstance(index._layers[next(reversed(index._layers))][0], Remainder)
    among = pl.col("handle") != WHO[3][3]
    assert first.rows() == brute(events[:200].filter(among), window_edges(0, size, 40).tolist())
    grid = window_edges(0, size, 40)
    assert index.repeats(grid, processes=kept).tolist() == deepest(events[:200].filter(among), grid.tolist())
    index.extend(events[200:])
    cut = (37, size // 2, 40)
    assert index.bins(cut, processes=kept).rows() == brute(events.filter(among), window_edges(*cut).tolist())


def test_larger_logs_equal_numpy() -> None:
    random = np.random.default_rng(5)
    count, size = 3000, 50_000
    start = random.integers(0, size, count)
    length = np.where(
        random.random(count) < 0.02, random.integers(1, size, count), random.integers(1, 90, count)
    )
    log = [(int(a), int(a + n), "read", 0) for a, n in zip(start, length, strict=True)]
    index = Index.build(frame(log[:1000]))
    for piece in range(1000, count, 100):
        index.extend(frame(log[piece : piece + 100], piece))
    assert len(index) == count
    edges = window_edges(700, 61_000, 777)
    found = index.bins((700, 61_000, 777))
    table = np.array([(a, b) for a, b, _, _ in log])
    times = np.bincount(np.concatenate([np.arange(a, b) for a, b in table]), minlength=200_000)
    low, high = edges[:-1, None], edges[1:, None]
    shares = (table[:, 0] < high) & (table[:, 1] > low) & (low < high)
    assert found["bytes"].to_list() == [int(times[a:b].sum()) for a, b in pairwise(edges)]
    assert found["distinct"].to_list() == [int((times[a:b] > 0).sum()) for a, b in pairwise(edges)]
    assert found["accesses"].to_list() == shares.sum(axis=1).tolist()
    assert found["first_touch"].fill_null(-1).to_list() == [
        2 * int(row.argmax()) if row.any() else -1 for row in shares
    ]


@moderate
@given(logs, st.integers(0, UNIVERSE), st.integers(0, UNIVERSE), st.integers(1, 60))
def test_tiles_sum_to_the_bytes_of_the_window(log: list[Event], start: int, length: int, count: int) -> None:
    index = Index.build(frame(log))
    tiles, window = index.bins((start, start + length, count)), index.bins((start, start + length, 1))
    assert tiles["bytes"].sum() == window["bytes"][0]
    assert tiles["distinct"].sum() == window["distinct"][0]
    assert tiles["first_touch"].min() == window["first_touch"][0]


@moderate
@given(
    st.integers(4096, 10_000_000),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12),
)
def test_the_64_by_64_grid_agrees_with_cells_of_fractional_width(
    size: int, parts: list[tuple[float, float]]
) -> None:
    extents = [(int(min(a, b) * size), int(max(a, b) * size)) for a, b in parts]
    found = Index.build(frame([(a, b, "read", 0) for a, b in extents])).bins(square_edges(size, 64))
    width = size / 4096
    low = np.arange(4096) * width
    for cell in np.flatnonzero(found["bytes"].to_numpy() >= 0):
        shares = [int(max(0, min(b, low[cell] + width) - max(a, low[cell]))) for a, b in extents]
        close = sum(b > math.floor(low[cell]) and a < math.ceil(low[cell] + width) for a, b in extents)
        assert abs(found["bytes"][int(cell)] - sum(shares)) <= close


def test_offsets_of_two_to_the_sixty_second() -> None:
    far = [(HUGE, HUGE + 10, "read", 0), (HUGE + 4, HUGE + 6, "read", 0), (3, 5, "write", 0)]
    found = Index.build(frame(far * 50)).bins(np.array([0, 4, HUGE, HUGE + 5, HUGE + 100]))
    assert found["bytes"].to_list() == [50, 50, 50 * 6, 50 * 6]
    assert found["accesses"].to_list() == [50, 50, 100, 100]
    assert found["distinct"].to_list() == [1, 1, 5, 5]
    assert found["first_touch"].to_list() == [4, 4, 0, 0]


def test_more_bytes_than_fit_are_given_as_the_largest_number() -> None:
    whole = [(0, HUGE, "read", 0)] * 5
    index = Index.build(frame(whole))
    found = index.bins((0, HUGE, 4))
    assert found["bytes"].to_list() == [5 * HUGE // 4] * 4
    assert index.bins((0, HUGE, 1))["bytes"].to_list() == [2**63 - 1]
    assert index.bins((0, HUGE, 1))["distinct"].to_list() == [HUGE]
    grown = Index.build(frame([*whole[:1], (5, 6, "read", 0)] * 1))
    grown.extend(frame(whole[:1], 9))
    assert grown.bins(np.array([0, 8, HUGE]))["bytes"].to_list() == [17, 2**63 - 1 - 15]


def test_the_sum_over_runs_may_pass_what_one_run_holds() -> None:
    index = Index.build(frame([(0, HUGE, "read", 0)] + [(0, 1, "read", 0)] * 30))
    index.extend(frame([(0, HUGE, "read", 0)], 31))
    assert len(index._runs) == 2
    assert index.bins(np.array([0, 1, HUGE]))["bytes"].to_list() == [32, 2**63 - 1 - 1]


def test_no_events_and_no_bytes() -> None:
    index = Index.build(frame([]))
    empty = index.bins((0, 0, 3))
    assert empty.schema == BINS
    assert empty.rows() == [(k, 0, 0, 0, 0, 0, None, None) for k in range(3)]
    assert index.bins(np.array([7])).schema == BINS
    assert len(index) == 0


def test_an_answer_is_remembered_and_forgotten() -> None:
    index = Index.build(frame([(k, k + 2, "read", k % 4) for k in range(20)]))
    first = index.bins((0, 30, 3), handles=[1])
    kept = index._layers[next(reversed(index._layers))]
    for handle in (2, 1, 3, 1, 4, 1):
        index.bins((0, 30, 3), handles=[handle])
    assert index._layers[next(reversed(index._layers))] == kept
    assert [who.handles for who in index._layers] == [None, (4,), (1,)]
    index.bins((0, 30, 3), handles=[1, 2])
    assert [who.handles for who in index._layers] == [None, (1, 2)]
    assert_frame_equal(index.bins((0, 30, 3), handles=[1]), first)
    assert_frame_equal(
        index.bins((0, 30, 3)),
        Index.build(frame([(k, k + 2, "read", 0) for k in range(20)])).bins((0, 30, 3)),
    )


def test_growing_keeps_few_runs() -> None:
    index = Index.build(frame([]))
    for k in range(200):
        index.extend(frame([(k, k + 3, "read", 0)], k))
    sizes = [len(run) for run in index._runs]
    assert sum(sizes) == 200
    assert len(sizes) <= 5
    assert all(a >= 4 * b for a, b in pairwise(sizes))


@given(st.integers(0, HUGE), st.integers(0, HUGE - 1), st.integers(1, 5000))
@moderate
def test_window_edges_are_exact(start: int, length: int, count: int) -> None:
    expected = [start + i * length // count for i in range(count + 1)]
    assert window_edges(start, start + length, count).tolist() == expected


@given(st.integers(0, 2**62), st.sampled_from([1, 2, 3, 8, 64]))
@moderate
def test_square_edges_are_exact(size: int, side: int) -> None:
    cells = side * side
    edges = square_edges(size, side).tolist()
    if size >= cells:
        assert edges == [k * size // cells for k in range(cells + 1)]
    else:
        assert edges == [*range(size), *[size] * (cells + 1 - size)]


@pytest.mark.parametrize("side", [1, 2, 4, 32, 64])
def test_curves_visit_every_cell_once(side: int) -> None:
    cells = np.arange(side * side)
    for curve in (row_major, hilbert):
        x, y = curve(cells, side)
        assert sorted(zip(y.tolist(), x.tolist(), strict=True)) == [
            (r, c) for r in range(side) for c in range(side)
        ]
    assert row_major(cells, side)[0].tolist() == [c % side for c in range(side * side)]


@pytest.mark.parametrize("side", [2, 4, 32, 64])
def test_hilbert_steps_to_a_neighbour_from_left_to_right(side: int) -> None:
    x, y = hilbert(np.arange(side * side), side)
    assert (np.abs(np.diff(x)) + np.abs(np.diff(y)) == 1).all()
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, side - 1, 0)


def test_hilbert_keeps_each_quarter_together() -> None:
    x, y = hilbert(np.arange(32 * 32), 32)
    for quarter in np.split(np.arange(32 * 32), 16):
        assert np.ptp(x[quarter]) == np.ptp(y[quarter]) == 7


@pytest.mark.parametrize(
    ("edges", "error"),
    [
        ((5, 4, 2), BadRange),
        ((0, 4, 0), BadRange),
        (np.array([3, 1]), BadRange),
        (np.array([0.0, 1.5]), BadRange),
        (np.array([[0, 1]]), BadRange),
    ],
)
def test_what_is_no_window_is_refused(edges: Any, error: type[Exception]) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(error):
        Index.build(frame([])).bins(edges)


def test_questions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BadInput, match="touches no bytes"):
        Index.build(frame([])).bins((0, 1, 1), op="truncate")
    with pytest.raises(BadRange, match="power of two"):
        hilbert(np.arange(9), 3)
    with pytest.raises(BadRange):
        square_edges(-1, 4)
