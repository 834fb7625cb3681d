"""Samples of many accesses, against looking at each."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import events

from fmrw.explorer.explorer import explore
from fmrw.explorer.filters import Choice
from fmrw.explorer.sampling import PLACE, THINNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace

MOST = 20
MANY = 3 * THINNED * MOST


@pytest.mark.parametrize("window", [(0, 1000), (100, 900), (300, 304), (999, 1000)])
@pytest.mark.parametrize(
    "choice", [Choice("both"), Choice("write"), Choice("both", processes=((43, "other"),))]
)
def test_a_sample_is_spread_over_all_that_match(
    trace: Callable[..., LiveTrace], window: tuple[int, int], choice: Choice
) -> None:
    chance = random.Random(7)  # noqa: S311 - made-up accesses
    parts = []
    for number in range(MANY // 8):
        spans = [(chance.choice(("read", "read", "write")), at, at + chance.randint(1, 9)) for at in chance.choices(range(990), k=8)]  # fmt: skip
        who = {} if number % 3 else {"pid": 43, "tid": 43, "process": "other"}
        parts.append(events(*spans, first=8 * number, **who))
    recorded = explore(trace(pl.concat(parts)), "sample.bin").recorded
    matching = recorded.chosen(choice).filter(pl.col("start") < window[1], pl.col("end") > window[0])
    found, total = recorded.sample(choice, window, MOST)
    assert total == matching.height
    assert MOST / 2 <= found.height <= MOST or found.height == matching.height
    everybody = recorded.rows.with_row_index(PLACE)
    columns = [name for name in found.columns if name != PLACE]
    assert found.select(columns).equals(everybody[found[PLACE]].select(columns))
    numbers = everybody[found[PLACE]]["seq"]
    assert set(numbers) <= set(matching["seq"])
    if total > found.height:
        places = pl.Series(range(total)).filter(matching["seq"].is_in(numbers.implode()))
        assert places[0] <= total / 4
        assert places[-1] >= total * 3 / 4
        assert places.diff().max() <= 6 * total / found.height
