"""The order of accesses and the clock without idle time, against brute force."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from recordings import BEGIN, events

from fmrw.explorer.sampling import PLACE
from fmrw.explorer.timeaxis import AXES, Clock, Order, limit, made


def rows(*seconds: float) -> pl.DataFrame:
    frame = events(*[("read", 10 * k, 10 * k + 10) for k in range(len(seconds))])
    times = pl.Series([BEGIN + timedelta(seconds=each) for each in seconds])
    return frame.with_columns(time=times.cast(pl.Datetime("us", "UTC"))).with_row_index(PLACE)


def test_accesses_take_the_same_room_whenever_they_came() -> None:
    frame = rows(0, 0.001, 100, 100)
    assert Order(frame).shares(frame).tolist() == [0, 1 / 3, 2 / 3, 1]
    assert Order(frame).length == "4 accesses"


def test_the_order_moves_from_access_to_access() -> None:
    axis = Order(rows(0, 1, 5, 5, 9))
    assert [axis.moment(share) for share in (0, 0.2, 0.39, 0.8, 1)] == [
        BEGIN, BEGIN + timedelta(seconds=1), BEGIN + timedelta(seconds=5), BEGIN + timedelta(seconds=9), None,
    ]  # fmt: skip
    assert [axis.share(BEGIN + timedelta(seconds=each)) for each in (0, 1, 5, 6, 10)] == [0, 0.2, 0.4, 0.8, 1]


def test_idle_time_is_cut_and_the_rest_is_as_it_was() -> None:
    frame = rows(*[k / 100 for k in range(50)], *[3600 + k / 100 for k in range(50)])
    axis = Clock(frame)
    shares = axis.shares(frame)
    assert axis.cut
    assert axis.length.endswith("idle cut")
    assert shares[50] - shares[49] == pytest.approx(1 / 20)
    assert np.diff(shares[:50]) == pytest.approx(np.full(49, np.diff(shares[:2])[0]))
    assert (shares[0], shares[-1]) == (0, 1)
    assert axis.share(BEGIN + timedelta(seconds=1800)) == pytest.approx(shares[50])


def test_pauses_of_one_length_stay() -> None:
    frame = rows(0, 10, 20, 30)
    assert not Clock(frame).cut
    assert Clock(frame).shares(frame).tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert Clock(frame).length == "+ 30.0 s"


def test_the_limit_is_the_largest_that_keeps_each_pause_short_of_its_share() -> None:
    random = np.random.default_rng(7)
    for _ in range(200):
        pauses = random.integers(1, 10 ** random.integers(1, 7), random.integers(1, 60))
        share = max(1 / 20, min(4 / len(pauses), 1))
        found = limit(pauses)
        kept = np.minimum(pauses, found)
        assert found <= share * kept.sum() * (1 + 1e-9)
        longer = min(found * 1.01 + 1e-6, pauses.max() + 1)
        if found < pauses.max():
            assert longer > share * np.minimum(pauses, longer).sum()


@pytest.mark.parametrize("name", AXES)
def test_a_moment_and_its_share_belong_together(name: str) -> None:
    random = np.random.default_rng(3)
    frame = rows(*np.sort(random.integers(0, 1000, 80) / 7).tolist())
    axis = made(name, frame)
    for share in np.linspace(0, 0.99, 60).tolist():
        moment = axis.moment(share)
        assert moment is not None
        before = frame.filter(pl.col("time") < moment).height / 80
        near = axis.share(moment)
        assert near == pytest.approx(before) if name == "order" else near == pytest.approx(share, abs=1e-5)


@pytest.mark.parametrize("name", AXES)
def test_one_access_and_none(name: str) -> None:
    for frame in (rows(1), rows()):
        axis = made(name, frame)
        assert axis.shares(frame).tolist() == [0] * frame.height
        assert axis.share(BEGIN) == 0
        assert axis.moment(1) is None
