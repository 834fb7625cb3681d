"""Playing by the clock of the recording, with a clock of the test's own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import BEGIN, events

from fmrw.errors import BadInput
from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.playback import SPEEDS, Playback
from fmrw.explorer.widgets.playback import playback_controls, times_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recordings import LiveTrace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Played:
    """A view of reads at given seconds, its playback, and the clock that moves it."""

    def __init__(self, trace: Callable[..., LiveTrace], seconds: Sequence[float]) -> None:
        times = pl.Series([BEGIN + timedelta(seconds=each) for each in seconds]).cast(
            pl.Datetime("us", "UTC")
        )
        frame = events(*[("read", 10 * k, 10 * k + 10) for k in range(len(seconds))])
        self.view: Explorer = explore(trace(frame.with_columns(time=times)), "sample.bin", time_axis="clock")
        self.clock = Clock()
        self.player = Playback(self.view, self.clock)
        self.view.playback = self.player

    def play(self) -> None:
        """Begin, without the thread: the test moves the clock itself."""
        self.player.play()
        if self.player._poller is not None:
            self.player._poller.stop()
            self.player._poller.thread.join()

    def pass_(self, seconds: float, steps: int = 1) -> list[int]:
        """Let time pass; give the numbers of the accesses that are shown then."""
        for _ in range(steps):
            self.clock.now += seconds / steps
            if self.player.playing:
                self.player.follow()
        return self.view.events()["seq"].to_list()


@pytest.fixture
def played(trace: Callable[..., LiveTrace]) -> Callable[..., Played]:
    return lambda *seconds: Played(trace, seconds)


@pytest.mark.parametrize("steps", [1, 7, 50])
def test_accesses_pass_when_they_happened(played: Callable[..., Played], steps: int) -> None:
    made = played(0, 1, 2, 9, 20)
    made.play()
    assert made.pass_(0.5, steps) == [0]
    assert made.pass_(2, steps) == [0, 1, 2]
    assert made.pass_(6, steps) == [0, 1, 2]  # the program waited
    assert made.pass_(1, steps) == [0, 1, 2, 3]
    assert made.player.playing
    assert made.pass_(11, steps) == [0, 1, 2, 3, 4]
    assert not made.player.playing
    assert made.view.time_window is None


@pytest.mark.parametrize("speed", SPEEDS)
def test_speed(played: Callable[..., Played], speed: float) -> None:
    made = played(0, 5, 10.5, 20)
    made.player.speed = speed
    made.play()
    assert made.pass_(4.9 / speed) == [0]
    assert made.pass_(0.2 / speed) == [0, 1]
    assert made.pass_(5 / speed) == [0, 1]
    made.player.speed = 1
    assert made.pass_(0.5) == [0, 1, 2]


def test_an_unknown_speed(played: Callable[..., Played]) -> None:
    made = played(0, 1)
    with pytest.raises(BadInput, match="16"):
        made.player.speed = 3


def test_a_pause_keeps_the_place(played: Callable[..., Played]) -> None:
    made = played(0, 2, 4, 20)
    made.play()
    assert made.pass_(3) == [0, 1]
    made.player.pause()
    place = made.view.time_window
    assert made.pass_(100) == [0, 1]
    assert made.view.time_window == place
    made.play()
    assert made.pass_(0.9) == [0, 1]
    assert made.pass_(0.2) == [0, 1, 2]
    made.player.rewind()
    assert made.pass_(1) == [0]


@pytest.mark.parametrize(
    ("lasted", "needs", "told"),
    [
        (0.004, 10, "1× is 2,500 times slower than it was"),  # noqa: RUF001 - times
        (30, 30, "1× is real time"),  # noqa: RUF001 - as above
        (2, 10, "1× is 5.0 times slower than it was"),  # noqa: RUF001 - as above
        (7200, 60, "1× is 120 times faster than it was"),  # noqa: RUF001 - as above
    ],
)
def test_what_took_moments_or_hours_can_be_watched(
    played: Callable[..., Played], lasted: float, needs: float, told: str
) -> None:
    made = played(0, lasted / 2, lasted)
    assert made.player.told() == told
    made.play()
    assert made.pass_(needs * 0.49) == [0]
    assert made.pass_(needs * 0.02) == [0, 1]
    made.pass_(needs * 0.5)
    assert not made.player.playing


def test_somebody_moves_the_moment_while_it_plays(played: Callable[..., Played]) -> None:
    made = played(0, 2, 10, 20)
    made.play()
    made.pass_(1)
    made.player.cut(0.05, 0.45)  # from 1 s, and up to 9 s
    assert made.pass_(0.5) == [1]
    assert made.pass_(0.6) == [1, 2]


def test_by_order_waiting_takes_no_time(played: Callable[..., Played]) -> None:
    made = played(0, 1, 2, 5000, 5000.1, 5000.2, 5000.3, 5001, 9000, 9001)
    made.view.time_axis = "order"
    assert "each access as long as any other" in made.player.told()
    made.play()
    assert made.pass_(0.01) == []
    for shown in range(1, 10):
        assert made.pass_(1) == list(range(shown))
    assert times_text(made.view).startswith("accesses 0 to 9 of 10")
    made.pass_(1)
    assert not made.player.playing
    assert made.view.time_window is None


def test_by_order_it_goes_on_where_many_accesses_are_one_moment(played: Callable[..., Played]) -> None:
    made = played(*[0] * 50, *[1] * 50)
    made.view.time_axis = "order"
    made.play()
    assert made.pass_(4, steps=40) == []
    assert made.pass_(2, steps=20) == list(range(50))
    made.pass_(4.1, steps=41)
    assert not made.player.playing
    assert made.view.time_window is None


def test_all_at_one_moment(played: Callable[..., Played]) -> None:
    made = played(3, 3)
    assert made.player.told() == "all at one moment"
    made.play()
    assert made.pass_(1) == [0, 1]


def test_nothing_to_play(trace: Callable[..., LiveTrace]) -> None:
    view = explore(trace(events(("open", 0, 0))), "sample.bin", time_axis="clock")
    view.playback.play()
    assert view.playback.follow() is False
    assert playback_controls(view).children[5].value.endswith("all at one moment")


def test_the_slider_follows_and_leads(played: Callable[..., Played]) -> None:
    made = played(0, 5, 10)
    row = playback_controls(made.view)
    play, slider, label = row.children[0], row.children[4], row.children[5]
    slider.value = (0.0, 0.5)
    assert made.view.time_window == (None, BEGIN + timedelta(seconds=5))
    exact = (BEGIN + timedelta(seconds=1.23456), None)
    made.view.time_window = exact
    assert slider.value == pytest.approx((0.123, 1), abs=1e-3)
    assert made.view.time_window == exact  # the slider's steps do not round it
    assert label.value.startswith("1.2 to 10.0 of 10.0 s · 1×")  # noqa: RUF001 - times
    play.value = True
    assert made.player.playing
    assert play.description == "pause"
    made.view.close()
    assert not made.player.playing
    assert play.value is False


def test_short_times_are_told_in_short_units(played: Callable[..., Played]) -> None:
    assert times_text(played(0, 0.25).view).startswith("0.0 to 250.0 of 250.0 ms")
    assert times_text(played(0, 2e-4).view).startswith("0.0 to 200.0 of 200.0 µs")


def test_the_thread_plays_to_the_end(trace: Callable[..., LiveTrace]) -> None:
    made = Played(trace, [0, 1e-3])
    player = Playback(made.view, iter(range(0, 10_000, 4)).__next__)  # four seconds at every look
    player.play()
    player._poller.thread.join(600)
    assert not player.playing
    assert made.view.time_window is None
    assert made.view.problem == ""
