"""The state of a view: the window, going back, navigation, and values that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from recordings import events

from fmrw.errors import BadInput, BadRange
from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace


def test_begins_with_the_whole_file(view: Explorer) -> None:
    assert view.window == (0, 1000)
    assert view.size == 1000
    assert "sample.bin" in repr(view)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((100, 200), (100, 200)),
        ([5, 6], (5, 6)),
        ("0x10-0x20", (16, 32)),
        ("0x0+10", (0, 10)),
        ((-5, 2000), (0, 1000)),
    ],
)
def test_windows_that_can_be_set(view: Explorer, given: object, shown: tuple[int, int]) -> None:
    view.window = given
    assert view.window == shown


@pytest.mark.parametrize(
    "given", [(5, 5), (9, 3), (1000, 1010), (-9, 0), "nonsense", 7, ("a", "b"), (1, 2, 3)]
)
def test_windows_that_cannot(view: Explorer, given: object) -> None:
    view.window = (10, 20)
    with pytest.raises(BadRange):
        view.window = given
    assert view.window == (10, 20)


def test_back_and_forward(view: Explorer) -> None:
    for window in ((0, 500), (0, 250), (0, 125)):
        view.window = window
    view.back()
    view.back()
    assert view.window == (0, 500)
    view.forward()
    assert view.window == (0, 250)
    view.window = (7, 9)
    view.forward()
    assert view.window == (7, 9)
    view.back()
    assert view.window == (0, 250)


def test_going_back_from_the_beginning_stays(view: Explorer) -> None:
    view.back()
    view.forward()
    assert view.window == (0, 1000)


def test_zooming_keeps_the_place_and_stays_inside(view: Explorer) -> None:
    view.zoom(0.25, at=0)
    assert view.window == (0, 250)
    view.zoom(0.5, at=249)
    assert view.window == (125, 250)
    for _ in range(20):
        view.zoom(0.5)
    assert view.window[1] - view.window[0] == 1
    for _ in range(40):
        view.zoom(1.25)
    assert view.window == (0, 1000)


def test_panning_stops_at_the_ends(view: Explorer) -> None:
    view.window = (100, 200)
    view.pan(0.5)
    assert view.window == (150, 250)
    view.pan(-9)
    assert view.window == (0, 100)
    view.pan(99)
    assert view.window == (900, 1000)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0x1c0", (448, 704)),
        ("448", (448, 704)),
        ("75 %", (744, 1000)),
        ("0x10-0x20", (16, 32)),
        ("10+5", (10, 15)),
        ("end", (744, 1000)),
    ],
)
def test_go_to(view: Explorer, text: str, shown: tuple[int, int]) -> None:
    view.go_to(text)
    assert view.window == shown


@pytest.mark.parametrize("text", ["2000", "-1", "0x", "12 zebras"])
def test_go_nowhere(view: Explorer, text: str) -> None:
    with pytest.raises(BadRange):
        view.go_to(text)
    assert view.window == (0, 1000)


def test_gaps_one_after_the_other(view: Explorer) -> None:
    visited = []
    while view.next_gap():
        visited.append(view.window)
    assert visited == [(75, 225), (125, 1000)]  # [100, 200) and [300, 1000), with a quarter around each
    assert view.previous_gap()
    assert view.window == (75, 225)
    assert not view.previous_gap()


def test_every_gap_is_found_also_one_at_0_and_one_that_ends_the_file(trace: Callable[..., LiveTrace]) -> None:
    """From the whole file, and from any window: the first that begins there or later, the last that begins before."""
    random = np.random.default_rng(11)
    for _ in range(60):
        touched = random.random(24) < 0.5
        reads = [("read", int(10 * k), int(10 * k + 10)) for k in np.flatnonzero(touched)] or [("open", 0, 0)]
        edges = np.flatnonzero(np.diff(np.r_[True, touched, True].astype(int)))
        gaps = [(int(a) * 10, int(b) * 10) for a, b in edges.reshape(-1, 2)]
        made = trace(events(*reads, size=240))
        view = explore(made, "sample.bin")
        forward = [view._visited for _ in range(40) if view.next_gap()]
        assert forward == gaps
        backward = [view._visited for _ in range(40) if view.previous_gap()]
        assert backward == gaps[-2::-1]
        view = explore(made, "sample.bin")
        assert [view._visited for _ in range(40) if view.previous_gap()] == gaps[::-1]
        start = int(random.integers(0, 239))
        later, before = ([gap for gap in gaps if gap[0] >= start], [gap for gap in gaps if gap[0] < start])
        view = explore(made, "sample.bin", window=(start, start + 1))
        assert (view._visited if view.next_gap() else None) == (later[0] if later else None)
        if start:
            view = explore(made, "sample.bin", window=(start, start + 1))
            assert (view._visited if view.previous_gap() else None) == (before[-1] if before else None)


def test_which_gap_it_is_is_told(view: Explorer) -> None:
    told = []
    for key in "nnnp":
        view.press(key)
        told.append(view.hover)
    assert told == [
        "gap 1 of 2: 0x64-0xc8, 100 bytes", "gap 2 of 2: 0x12c-0x3e8, 700 bytes", "no next gap: 2 in all",
        "gap 1 of 2: 0x64-0xc8, 100 bytes",
    ]  # fmt: skip


def test_extents_one_after_the_other(view: Explorer) -> None:
    view.ops = "write"
    assert view.next_extent()
    assert view.window == (234, 276)
    assert not view.next_extent()


def test_a_gap_is_what_the_chosen_did_not_read(view: Explorer) -> None:
    view.processes = "other"
    assert view.next_gap()
    assert view.window == (0, 250)  # [0, 200)


@pytest.mark.parametrize(
    ("name", "value"), [("side", 4), ("side", 48), ("overlays", "x"), ("time_window", (1, 2))]
)
def test_values_that_cannot_be(view: Explorer, name: str, value: object) -> None:
    with pytest.raises(BadInput):
        setattr(view, name, value)


def test_growing_without_a_new_size_leaves_the_window_to_the_user(view: Explorer) -> None:
    """Events arrive in another thread; where the size stays they must not move a window that is just being set."""
    view._move = lambda _: pytest.fail("the window was moved")
    view.grow(1000)


def test_a_state_without_a_file_says_so() -> None:
    with pytest.raises(BadInput):
        State(size=10).next_gap()
