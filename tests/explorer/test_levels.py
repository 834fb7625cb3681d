"""Bins of several widths for exported pages, against counting bytes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from recordings import brute, events

from fmrw.explorer import levels
from fmrw.explorer.explorer import explore

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace

    from fmrw.explorer.explorer import Explorer

SIZE = 20_000


@pytest.fixture
def scattered(trace: Callable[..., LiveTrace]) -> Explorer:
    chance = random.Random(5)  # noqa: S311 - made-up accesses
    spans = [(chance.choice(("read", "write")), at, at + chance.randint(1, 40)) for at in chance.choices(range(SIZE - 40), k=200)]  # fmt: skip
    return explore(trace(events(*spans, size=SIZE)), "sample.bin")


def test_each_level_colours_what_was_touched_and_nothing_else(scattered: Explorer) -> None:
    scattered.window = (500, 19_000)
    made = levels.levels(scattered.scene)
    assert [each["bins"] for each in made["levels"]] == [1024, 8192, 18_500]
    assert (made["start"], made["length"], made["rows"]) == ("500", "18500", ["read", "write"])
    assert "single bytes" in made["told"]
    for level in made["levels"]:
        bins = level["bins"]
        for op, runs in zip(made["rows"], level["runs"], strict=True):
            coloured = {number for a, b in zip(runs[::3], runs[1::3], strict=True) for number in range(a, b)}
            for number in range(0, bins, 97):
                start, end = (500 + edge * 18_500 // bins for edge in (number, number + 1))
                assert (number in coloured) == (brute(scattered, op, start, end)[0] > 0)
            assert {made["colours"][place] for place in runs[2::3]} <= set(
                scattered.scene.canvas.colours.values()
            )


def test_a_level_of_too_many_runs_is_left_out_and_told(
    scattered: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, "MOST_RUNS", 100)
    made = levels.levels(scattered.scene)
    assert [each["bins"] for each in made["levels"]] == [1024]
    assert made["told"] == "The finest bins in this page are 20 bytes."


def test_a_short_window_has_one_level_and_an_empty_file_none(trace: Callable[..., LiveTrace]) -> None:
    view = explore(trace(events(("read", 0, 100))), "sample.bin", window=(50, 150))
    (level,) = levels.levels(view.scene)["levels"]
    assert (level["bins"], level["runs"]) == (100, [[0, 50, 0]])
    empty = explore(trace(events(("read", 0, 1), size=0)), "sample.bin")
    assert levels.levels(empty.scene)["levels"] == []
