"""Pointer and keys."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fmrw.explorer.explorer import Explorer
    from fmrw.explorer.layout import Spot


def at(view: Explorer, panel: str, across: float, down: float = 0.5) -> list[float]:
    box = getattr(view.scene.layout, panel)
    return [box.left + box.width * across, box.top + box.height * down]


def test_a_drag_over_the_overview_shows_that_range_once(view: Explorer) -> None:
    drag = {"at": 5, "from": at(view, "overview", 0.2), "to": at(view, "overview", 0.4)}
    view.gestures.take({"born": 1, "drag": drag})
    start, end = view.window
    assert abs(start - 200) <= 3
    assert abs(end - 400) <= 3
    view.whole()
    view.gestures.take({"born": 1, "drag": drag})
    assert view.window == (0, 1000)


def test_a_drag_backwards_and_beyond_the_edge(view: Explorer) -> None:
    view.gestures.take({"drag": {"at": 1, "from": at(view, "stack", 0.5), "to": [-500, 9000]}})
    assert view.window[0] == 0
    assert abs(view.window[1] - 500) <= 4


def test_beside_the_tracks_a_drag_begins_at_their_edge_and_the_wheel_holds_it(view: Explorer) -> None:
    stack = view.scene.layout.stack
    names = [stack.left - 20, stack.top + 5]  # between the grid and the tracks
    view.gestures.take({"drag": {"at": 1, "from": names, "to": at(view, "stack", 0.5)}})
    assert view.window[0] == 0
    assert abs(view.window[1] - 500) <= 4
    end = view.window[1]
    view.gestures.take({"born": 1, "wheel": {"to": names, "sum": -2}})
    assert view.window == (0, round(end / 1.25**2))
    view.whole()
    beyond = [stack.right + 4, stack.top + 5]
    view.gestures.take({"born": 1, "wheel": {"to": beyond, "sum": -4}})
    assert view.window == (360, 1000)
    box = view.scene.layout.grid
    view.gestures.take({"drag": {"at": 2, "from": [box.left - 4, box.top + 9], "to": at(view, "stack", 0.5)}})
    assert view.window == (360, 1000)  # left of the grid nothing begins


def test_a_drag_across_cells(view: Explorer) -> None:
    view.side = 16
    box = view.scene.layout.grid
    first = [box.left + box.width * 0.5 / 16, box.top + box.height * 1.5 / 16]
    last = [box.left + box.width * 3.5 / 16, box.top + box.height * 2.5 / 16]
    view.gestures.take({"drag": {"at": 1, "from": first, "to": last}})
    assert view.window == (16 * 1000 // 256, 36 * 1000 // 256)


def test_click_double_click_and_wheel(view: Explorer) -> None:
    view.gestures.take({"born": 1, "click": {"at": 1, "to": at(view, "stack", 0.5)}})
    start, end = view.window
    assert end - start == 250
    assert start < 500 < end
    view.gestures.take(
        {
            "born": 1,
            "click": {"at": 1, "to": at(view, "stack", 0.5)},
            "out": {"at": 2, "to": at(view, "stack", 0.5)},
        }
    )
    assert view.window == (0, 1000)
    view.gestures.take({"born": 1, "wheel": {"to": at(view, "stack", 0.0), "sum": -2}})
    assert view.window == (1, 641)  # the first column holds two bytes
    view.gestures.take({"born": 1, "wheel": {"to": at(view, "stack", 0.0), "sum": -2}})
    assert view.window == (1, 641)  # the first column holds two bytes
    view.gestures.take({"born": 1, "wheel": {"to": at(view, "stack", 0.0), "sum": 8}})
    assert view.window == (0, 1000)


def test_what_was_told_of_accesses_that_are_not_shown_any_more_goes(view: Explorer) -> None:
    view.gestures.take({"hover": at(view, "overview", 0.255)})
    view.window = (200, 300)
    assert view.hover  # still true of these bytes
    view.ops = "write"
    assert view.hover == ""


def test_hovering_tells_what_lies_there(view: Explorer) -> None:
    view.gestures.take({"hover": at(view, "overview", 0.255)})
    for told in ("2 reads", "1 write", "parser [42], other [43]", "12:00:00.001"):
        assert told in view.hover
    view.gestures.take({"hover": at(view, "overview", 0.6)})
    assert "not accessed" in view.hover
    view.window = (150, 350)
    view.gestures.take({"hover": at(view, "stack", 0.5)})
    assert "2 reads; " in view.hover
    assert "byte read 2 times · " in view.hover
    view.gestures.take({"hover": [0, 0]})
    assert view.hover == ""


@pytest.mark.parametrize(
    "message",
    [
        None,
        5,
        {"drag": 7},
        {"drag": {"at": 9}},
        {"drag": {"at": 9, "from": "x", "to": None}},
        {"wheel": {"sum": "y"}},
        {"hover": [1]},
        {"click": {"at": 3, "to": ["a", {}]}},
    ],
)
def test_messages_that_are_no_gestures_change_nothing(view: Explorer, message: object) -> None:
    view.gestures.take(message)
    assert view.window == (0, 1000)


def test_keys(view: Explorer) -> None:
    for key, window in (
        ("+", (250, 750)),
        ("ArrowRight", (500, 1000)),
        ("Backspace", (250, 750)),
        ("0", (0, 1000)),
        ("n", (75, 225)),
        ("x", (75, 225)),
    ):
        view.press(key)
        assert view.window == window


def test_a_picture_does_not_wait_for_what_is_said_of_a_place(
    view: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Spot] = []
    tell = view.tell
    monkeypatch.setattr(view, "tell", lambda spot: (told.append(spot), tell(spot))[1])

    async def gestures() -> None:
        said = asyncio.Event()
        view.observe(lambda _: said.set(), "hover")
        drag = {"at": 1, "from": at(view, "overview", 0.2), "to": at(view, "overview", 0.4)}
        view.gestures.take({"drag": drag, "hover": at(view, "overview", 0.4)})
        assert view.window != (0, 1000)
        view.gestures.take({"hover": at(view, "overview", 0.25)})
        assert (view.hover, told) == ("", [])
        await said.wait()
        view.gestures.take({"hover": at(view, "overview", 0.9)})
        view.gestures.take({"hover": [-5, -5]})  # beside every panel: nothing is said of what was left

    asyncio.run(gestures())
    (spot,) = told
    assert spot.start == pytest.approx(250, abs=3)
    assert view.hover == ""


def test_a_gesture_means_the_picture_it_was_made_on(view: Explorer) -> None:
    view.gestures.drawn(view.scene)
    seen, places = view.scene.canvas.stands, [at(view, "stack", 0.5), at(view, "stack", 0.75)]
    view.window = (0, 100)
    drag = {"at": 1, "on": seen, "from": places[0], "to": places[1]}
    view.gestures.take({"drag": drag})
    assert view.window == pytest.approx((500, 750), abs=4)
    view.gestures.take({"click": {"at": 1, "on": seen, "to": at(view, "stack", 0.25)}})
    assert view.window[1] - view.window[0] == 250
    assert view.window[0] < 250 < view.window[1]
    view.whole()
    view.gestures.take({"drag": drag | {"at": 2, "on": "a picture nobody remembers"}})
    assert view.window == pytest.approx((500, 750), abs=4)


def test_pictures_in_which_other_bytes_lie_under_a_point_are_told_apart(view: Explorer) -> None:
    stands = [view.scene.canvas.stands]
    for name, value in (("window", (0, 500)), ("side", 16), ("width", 400), ("layout", "hilbert")):
        setattr(view, name, value)
        stands.append(view.scene.canvas.stands)
    assert len(set(stands)) == len(stands)
    view.colour = "program"
    assert view.scene.canvas.stands == stands[-1]
