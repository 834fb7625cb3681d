"""The explorer by its traits: no browser, no kernel."""

from __future__ import annotations

import base64
import gc
import io
import json
import weakref
import zipfile
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
import vl_convert
from PIL import Image
from recordings import BEGIN, events, still

from fmrw.errors import BadInput, BadRange, FigureError, UnknownPath
from fmrw.explorer import canvas, offline, pixels
from fmrw.explorer.drawers import _Lists, clear, drawers, link
from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.panel import press
from fmrw.explorer.recorded import Choice
from fmrw.explorer.state import State
from fmrw.figures import render
from fmrw.formats.csv.log import read_csv
from fmrw.session import annotations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace


@pytest.fixture
def view(trace: Callable[..., LiveTrace]) -> Explorer:
    """A file of 1,000 bytes: [0, 100) read, [200, 300) read twice, [250, 260) written, by two processes."""
    frame = pl.concat(
        [
            events(("read", 0, 100), ("read", 200, 300)),
            events(
                ("read", 200, 300), ("write", 250, 260), first=2, pid=43, tid=44, process="other", handle=2
            ),
        ]
    )
    return explore(trace(frame), "sample.bin")


# The window


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


def test_extents_one_after_the_other(view: Explorer) -> None:
    view.ops = "write"
    assert view.next_extent()
    assert view.window == (234, 276)
    assert not view.next_extent()


def test_a_gap_is_what_the_chosen_did_not_read(view: Explorer) -> None:
    view.processes = "other"
    assert view.next_gap()
    assert view.window == (0, 250)  # [0, 200)


# What is shown


def brute(view: Explorer, op: str, start: int, end: int) -> tuple[int, int]:
    rows = view.recorded.rows.filter(pl.col("op") == op, pl.col("start") < end, pl.col("end") > start)
    spans = [(max(a, start), min(b, end)) for a, b in rows.select("start", "end").rows()]
    return len(spans), len({byte for a, b in spans for byte in range(a, b)})


@pytest.mark.parametrize("window", [(0, 1000), (190, 310), (255, 256)])
@pytest.mark.parametrize("layout", ["row-major", "hilbert"])
def test_data_counts_what_a_loop_counts(view: Explorer, window: tuple[int, int], layout: str) -> None:
    view.layout = layout
    view.window = window
    data = view.data()
    assert data["start"][0] == window[0]
    assert data["end"][-1] == window[1]
    assert (data["start"][1:] == data["end"][:-1]).all()
    for row in data.iter_rows(named=True):
        for op in ("read", "write"):
            assert (row[f"{op}_accesses"], row[f"{op}_distinct"]) == brute(view, op, row["start"], row["end"])


def test_filters_reach_the_data(view: Explorer) -> None:
    def reads() -> int:
        view.side = 16
        return int(view.data()["read_bytes"].sum())

    assert reads() == 300
    view.processes = [(43, "other")]
    assert reads() == 100
    view.processes = 42
    assert reads() == 200
    view.processes = None
    view.threads = [44]
    assert reads() == 100
    view.threads = None
    view.handles = (1,)
    assert reads() == 200
    view.handles = None
    view.time_window = (BEGIN + timedelta(milliseconds=1), BEGIN + timedelta(milliseconds=2))
    assert reads() == 100
    clear(view)
    assert reads() == 300
    view.ops = "write"
    assert view.data().columns == ["start", "end", "write_accesses", "write_bytes", "write_distinct"]


def test_nobody_is_not_everybody(view: Explorer) -> None:
    view.processes = ()
    assert view.data()["read_bytes"].sum() == 0
    assert view.problem == ""


def test_an_unknown_process_is_refused(view: Explorer) -> None:
    with pytest.raises(UnknownPath, match=r"parser \[42\]"):
        view.processes = "7z"
    assert view.processes is None


@pytest.mark.parametrize(
    ("name", "value"), [("side", 4), ("side", 48), ("overlays", "x"), ("time_window", (1, 2))]
)
def test_values_that_cannot_be(view: Explorer, name: str, value: object) -> None:
    with pytest.raises(BadInput):
        setattr(view, name, value)


def test_events_are_those_of_the_window_and_the_filters(view: Explorer) -> None:
    view.window = (0, 150)
    assert view.events().select("op", "start", "end").rows() == [("read", 0, 100)]
    view.window = (240, 270)
    view.ops = "write"
    assert view.events()["seq"].to_list() == [3]
    assert view.events().columns[:3] == ["seq", "time", "op"]


def test_the_chart_has_few_marks_and_a_step_is_small(trace: Callable[..., LiveTrace]) -> None:
    random = np.random.default_rng(5)
    starts = random.integers(0, 1 << 30, 200_000)
    frame = events(("read", 0, 1), size=1 << 30)
    many = frame.select(pl.all().repeat_by(len(starts)).explode()).with_columns(
        seq=pl.int_range(len(starts), dtype=pl.Int64), start=pl.Series(starts), end=pl.Series(starts + 40),
        pid=pl.Series(starts % 9).cast(pl.Int32), time=pl.lit(BEGIN) + pl.duration(microseconds=pl.int_range(len(starts))),
    )  # fmt: skip
    view = explore(trace(many.cast(frame.schema)), "sample.bin", side=128)
    for window in (view.window, (1 << 29, (1 << 29) + (1 << 20)), (5, 9)):
        view.window = window
        assert view.problem == ""
        assert view.scene.canvas.marks <= 10_000
        assert view.scene.canvas.size <= 300_000


def test_offsets_of_64_bits(trace: Callable[..., LiveTrace]) -> None:
    size = 2**63 - 1
    view = explore(trace(events(("read", 2**62, 2**62 + 4096), size=size)), "sample.bin")
    assert view.next_extent()
    assert view.window == (2**62 - 1024, 2**62 + 5120)
    found = view.data().filter(pl.col("read_accesses") > 0)
    assert 0 <= 2**62 - found["start"].min() <= 1  # cells of one byte or two
    assert 0 <= found["end"].max() - (2**62 + 4096) <= 1
    assert found["read_distinct"].sum() == 4096
    spot = view.scene.places.spot(view.scene.places.stack.left, view.scene.places.stack.top + 1)
    assert spot is not None
    assert spot.start == view.window[0]
    assert view.problem == ""


# Growing, waiting, vanishing


def test_the_view_follows_and_the_window_stays(trace: Callable[..., LiveTrace]) -> None:
    made = trace(events(("read", 0, 100)), live=True, started="2026")
    view = explore(made, "sample.bin")
    still(view)
    view.window = (50, 150)
    made._source.add(events(("read", 100, 120), size=2000, first=1))
    assert view.follow()
    assert (view.window, view.size) == ((50, 150), 2000)
    assert view.data()["read_distinct"].sum() == 70
    view.whole()
    made._source.add(events(("write", 2000, 3000), size=3000, first=2))
    view.follow()
    assert view.window == (0, 3000)
    made.live = False
    assert not view.follow()


def test_growing_without_a_new_size_leaves_the_window_to_the_user(view: Explorer) -> None:
    """Events arrive in another thread; where the size stays they must not move a window that is just being set."""
    view._move = lambda _: pytest.fail("the window was moved")
    view.grow(1000)


def test_a_file_that_shrinks_takes_the_window_along(trace: Callable[..., LiveTrace]) -> None:
    made = trace(events(("read", 0, 100)), live=True)
    view = explore(made, "sample.bin", window=(500, 900))
    still(view)
    made._source.add(events(("truncate", 0, 600), size=600, first=1))
    view.follow()
    assert view.window == (500, 600)
    made._source.add(events(("truncate", 0, 0), size=0, first=2))
    view.follow()
    assert (view.window, view.problem) == ((0, 0), "")
    assert view.data().is_empty()


def test_a_file_without_events_waits_for_them(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    (tmp_path / "later.bin").write_bytes(bytes(300))
    made = trace(live=True, started="2026")
    view = explore(made, tmp_path / "later.bin")
    still(view)
    assert view.window == (0, 300)
    assert any("nothing recorded yet" in text["t"] for text in view.scene.canvas.texts)
    made._source.add(events(("read", 0, 100), size=300, path="later.bin"))
    view.follow()
    assert view.data()["read_bytes"].sum() == 100


def test_a_file_nobody_has_is_refused_even_while_live(trace: Callable[..., LiveTrace]) -> None:
    with pytest.raises(UnknownPath):
        explore(trace(events(("read", 0, 1)), live=True), "nothing.bin")


def test_the_thread_ends_with_the_view(trace: Callable[..., LiveTrace]) -> None:
    view = explore(trace(events(("read", 0, 100)), live=True), "sample.bin")
    thread = view._ticker.thread
    assert thread.is_alive()
    view.close()
    thread.join(120)
    assert not thread.is_alive()


def test_a_forgotten_view_is_not_kept_by_its_thread(trace: Callable[..., LiveTrace]) -> None:
    view = explore(trace(events(("read", 0, 100)), live=True), "sample.bin")
    view.settle(120)
    thread, gone = view._ticker.thread, weakref.ref(view)
    del view
    gc.collect()
    thread.join(120)
    gc.collect()  # what it held when it looked
    assert gone() is None


def test_content_that_changed_is_not_shown(view: Explorer, tmp_path: Path) -> None:
    view.window = (0, 16)
    assert "not at hand" in view.bytes_html()
    (tmp_path / "sample.bin").write_bytes(b"x" * 999)
    assert "changed" in view.bytes_html()
    assert "78" not in view.bytes_html().split("<pre>")[-1]
    (tmp_path / "sample.bin").write_bytes(b"x" * 1000)
    assert "78 78" in view.bytes_html()


@pytest.mark.parametrize("window", [(0, 5000), (0, 16)])
def test_a_file_that_changes_without_an_event_is_told_at_any_zoom(
    trace: Callable[..., LiveTrace], tmp_path: Path, window: tuple[int, int]
) -> None:
    file, other = tmp_path / "sample.bin", tmp_path / "other"
    file.write_bytes(b"x" * 5000)
    view = explore(trace(events(("read", 0, 100), size=5000), live=True), "sample.bin", window=window)
    still(view)
    panel = view._shown()
    told = []
    other.write_bytes(b"y" * 70)
    for change in (
        lambda: None,
        lambda: other.rename(file),
        file.unlink,
        lambda: file.write_bytes(b"x" * 6000),
    ):
        change()
        view.follow()
        told.append(panel.bytes.value.split("</style>")[1])
    assert "changed" not in told[0]
    assert "it has 70 now" in told[1]
    assert "not at hand" in told[2]
    assert "it has 6,000 now" in told[3]
    assert view.problem == ""


def test_content_with_another_time_is_not_shown(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    (tmp_path / "sample.bin").write_bytes(b"y" * 1000)
    made = trace(events(("read", 0, 100)), files={"sample.bin": {"size": 1000, "mtime_ns": 5}})
    view = explore(made, "sample.bin", window=(0, 8))
    assert "time of change" in view.bytes_html()


def test_a_large_window_asks_to_zoom(view: Explorer, tmp_path: Path) -> None:
    (tmp_path / "sample.bin").write_bytes(b"x" * 1000)
    assert "<pre>" in view.bytes_html()
    view.grow(5000)
    assert "Zoom to 1,024" in view.bytes_html()


def test_the_format_names_what_is_seen(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sample.zip", "w") as made:
        made.writestr("a.txt", b"a" * 400)
    size = (tmp_path / "sample.zip").stat().st_size
    view = explore(trace(events(("read", 0, 30), size=size, path="sample.zip")), "sample.zip")
    assert view.settle(120)
    assert any("a.txt" in text["t"] for text in view.scene.canvas.texts)
    view.window = (0, 64)
    assert "a.txt" in view.bytes_html()


# Errors


def test_an_error_while_drawing_is_shown_not_swallowed(
    view: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view.recorded, "bins", lambda *_: 1 / 0)
    view.window = (0, 10)
    assert view.problem == "ZeroDivisionError: division by zero"
    monkeypatch.undo()
    view.attempt(lambda: view.go_to("0x0-0x20"))
    assert view.problem == ""


def test_an_error_in_a_callback_is_shown_escaped(view: Explorer) -> None:
    panel = view._shown()
    view.attempt(lambda: view.go_to("<img src=x onerror=alert(1)>"))
    assert "not an offset" in view.problem
    assert "<img" not in panel.problem.value
    assert "&lt;img" in panel.problem.value


# Gestures


def at(view: Explorer, panel: str, across: float, down: float = 0.5) -> list[float]:
    box = getattr(view.scene.places, panel)
    return [box.left + box.width * across, box.top + box.height * down]


def test_a_drag_over_the_overview_shows_that_range_once(view: Explorer) -> None:
    drag = {"at": 5, "from": at(view, "overview", 0.2), "to": at(view, "overview", 0.4)}
    assert view.gestures.take({"born": 1, "drag": drag})
    start, end = view.window
    assert abs(start - 200) <= 3
    assert abs(end - 400) <= 3
    view.whole()
    assert not view.gestures.take({"born": 1, "drag": drag})
    assert view.window == (0, 1000)


def test_a_drag_backwards_and_beyond_the_edge(view: Explorer) -> None:
    view.gestures.take({"drag": {"at": 1, "from": at(view, "stack", 0.5), "to": [-500, 9000]}})
    assert view.window[0] == 0
    assert abs(view.window[1] - 500) <= 4


def test_a_drag_across_cells(view: Explorer) -> None:
    view.side = 16
    box = view.scene.places.grid
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


def test_hovering_tells_what_lies_there(view: Explorer) -> None:
    view.gestures.take({"hover": at(view, "overview", 0.255)})
    for told in ("2 reads", "1 write", "parser [42], other [43]", "12:00:00.001"):
        assert told in view.hover
    view.gestures.take({"hover": at(view, "overview", 0.6)})
    assert "not touched" in view.hover
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
        press(view, key)
        assert view.window == window


# The widget


def test_a_step_replaces_the_data_and_not_the_chart(view: Explorer) -> None:
    panel = view._shown()
    spec = panel.figure.spec
    before = panel.figure._py_to_js_updates
    view.window = (0, 100)
    updates = panel.figure._py_to_js_updates
    assert updates != before
    assert panel.figure.spec is spec
    named = {each["name"]: each["value"] for each in updates if each["namespace"] == "data"}
    assert list(named) == ["rects", "lines", "texts"]
    assert named == view.scene.canvas.datasets


def test_a_new_browser_view_is_sent_what_is_shown_now(view: Explorer) -> None:
    panel = view._shown()
    view.window = (0, 100)
    before = panel.figure._py_to_js_updates
    panel.figure._params = {"gesture": {"born": 77.0}}
    after = panel.figure._py_to_js_updates
    assert after != before
    assert after[:-1] == before[:-1]
    panel.figure._params = {"gesture": {"born": 77.0, "hover": [1, 1]}}
    assert panel.figure._py_to_js_updates == after


def test_room_changes_the_picture(view: Explorer) -> None:
    panel = view._shown()
    panel.frame.width = 1112
    assert view.look.width == 1100
    sides = {
        each["name"]: each["value"]
        for each in panel.figure._py_to_js_updates
        if each["namespace"] == "signal"
    }
    assert sides == {"width": 1100, "height": 640}
    panel.frame.width = 10
    assert view.look.width == 640


def test_another_theme_is_another_chart(view: Explorer) -> None:
    panel = view._shown()
    before = panel.figure
    view.theme = "dark"
    assert panel.figure is not before
    assert panel.figure in panel.box.children
    assert before not in panel.box.children


def test_the_theme_is_the_pages_unless_one_was_asked_for(
    view: Explorer, trace: Callable[..., LiveTrace]
) -> None:
    view._shown().frame.theme = "dark"
    assert view.theme == "dark"
    chosen = explore(trace(events(("read", 0, 9))), "sample.bin", theme="light")
    chosen._shown().frame.theme = "dark"
    assert chosen.theme == "light"


def test_pointer_and_keys_are_told_where_nothing_is_pointed_at(view: Explorer) -> None:
    panel = view._shown()
    assert "double click" in panel.hover.value
    view.hover = "0x0"
    assert "double click" not in panel.hover.value
    view.hover = ""
    assert "double click" in panel.hover.value


def test_one_drawer_is_open_at_a_time_and_shuts(view: Explorer) -> None:
    buttons, place = drawers(view).children
    first, second = buttons.children[:2]
    first.value = True
    shown = place.children
    second.value = True
    assert place.children != shown
    assert (len(place.children), first.value) == (1, False)
    second.value = False
    assert place.children == ()


def test_offsets_on_the_axes_are_round(view: Explorer) -> None:
    view.window = (100, 900)
    texts = [row["t"] for row in view.scene.canvas.texts if row["t"].startswith("0x")]
    assert "0x3e8" in texts  # the end of the file
    assert {"0x100", "0x200", "0x300"} <= set(texts)
    assert all(int(text, 16) % 0x100 == 0 for text in texts if text != "0x3e8" and "-" not in text)


def test_processes_beyond_the_lanes_share_one(trace: Callable[..., LiveTrace]) -> None:
    many = [events(("read", 10 * k, 10 * k + 10), first=k, pid=k, process=f"p{k}") for k in range(20)]
    view = explore(trace(*many), "sample.bin")
    assert any(row["t"] == "14 more" for row in view.scene.canvas.texts)


def test_vega_lite_compiles_to_what_the_patch_expects(view: Explorer) -> None:
    drawn = canvas.chart(view.scene.canvas, view.recorded.about(), "x", live=True)
    compiled = vl_convert.vegalite_to_vega(drawn.to_dict())
    assert [each["name"] for each in compiled["scales"][:2]] == ["x", "y"]
    names = [each["name"] for each in compiled["data"]]
    assert {"rects", "lines", "texts"} <= set(names)
    assert [each["name"] for each in compiled["signals"]] == ["gesture"]


# Annotations, export, saved notebooks


def test_annotations_are_kept_in_the_session(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    made = trace(events(("read", 0, 100)), folder=folder)
    view = explore(made, "sample.bin")
    view.window = (100, 200)
    view.annotate("cavity <b>")
    view.annotate("head", 0, 16)
    assert json.loads((folder / "annotations.json").read_text()) == {
        "sample.bin": [[100, 200, "cavity <b>"], [0, 16, "head"]]
    }
    assert explore(made, "sample.bin").annotations == view.annotations
    assert any(text["t"] == "cavity <b>" for text in view.scene.canvas.texts)


def test_a_session_that_is_gone_is_said(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    view = explore(trace(events(("read", 0, 100)), folder=tmp_path / "gone"), "sample.bin")
    view.annotate("x")
    assert "annotations.json" in view.problem
    assert len(view.annotations) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"sample.bin": [[1], [5, 3, "x"], [0, 1, 2], ["a", 1, "x"], [true, 2, "x"], null]}',
        '{"sample.bin": 7}',
    ],
)
def test_hostile_annotations_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "annotations.json").write_text(text)
    assert annotations.read(tmp_path, "sample.bin") == ()


def test_annotations_are_not_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text('{"sample.bin": [[0, 1, "x"]]}')
    (tmp_path / "annotations.json").symlink_to("target")
    assert annotations.read(tmp_path, "sample.bin") == ()


@pytest.mark.parametrize(
    ("kind", "begins"),
    [("pdf", b"%PDF"), ("svg", b"<svg"), ("png", b"\x89PNG"), ("html", b"<!DOCTYPE html>")],
)
def test_export(view: Explorer, tmp_path: Path, kind: str, begins: bytes) -> None:
    view.window = (16, 64)
    target = view.export(tmp_path / view.export_name(kind), preset="paper-page")
    assert target.name == f"sample.bin-0x10-0x40.{kind}"
    assert target.read_bytes().startswith(begins)
    assert 'download="sample.bin-0x10-0x40' in link(target)


def test_export_in_every_look(view: Explorer, tmp_path: Path) -> None:
    for look, size in (("paper-column", (252, 470)), ("dark", (960, 540))):
        with Image.open(view.export(tmp_path / "x.png", preset=look, scale=1)) as picture:
            assert picture.size == size
            assert len(picture.getcolors(1 << 20)) > 10


def test_export_csv_loads_again(view: Explorer, tmp_path: Path) -> None:
    view.window = (240, 400)
    found = read_csv(view.export(tmp_path / "x.csv"))
    assert found.select("op", "start", "end").rows() == [
        ("read", 200, 300),
        ("read", 200, 300),
        ("write", 250, 260),
    ]


def test_export_of_an_unknown_kind(view: Explorer, tmp_path: Path) -> None:
    with pytest.raises(FigureError):
        view.export(tmp_path / "x.bmp")
    with pytest.raises(FigureError):
        view.export(tmp_path / "x.pdf", preset="cinema")


def test_a_hostile_name_makes_a_harmless_file_name(trace: Callable[..., LiveTrace]) -> None:
    name = "../<img src=x>\x1b/..zip"
    view = explore(trace(events(("read", 0, 9), path=name)), name)
    made = view.export_name("pdf")
    assert "/" not in made
    assert made[0] not in ".<"
    assert "\x1b" not in made
    assert "\x1b" not in view.text()


def test_a_saved_notebook_keeps_a_picture_and_a_summary(view: Explorer, tmp_path: Path) -> None:
    bundle = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "sample.bin: 1,000 bytes" in bundle["text/plain"]
    picture = tmp_path / "x.png"
    picture.write_bytes(base64.b64decode(bundle["image/png"]))
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 1000


def test_the_strip_in_text(view: Explorer) -> None:
    lines = view.text().splitlines()
    assert len(lines) == 3
    picture = lines[1].split("│")[1]
    assert len(picture) == 72
    edges = [1000 * column // 72 for column in range(73)]
    for column, (start, end) in enumerate(pairwise(edges)):
        read = brute(view, "read", start, end)[1]
        assert (picture[column] == " ") == (read == 0)
        assert (picture[column] == "█") == (read > 0.75 * (end - start))


def test_without_the_widgets_there_is_a_strip_and_a_hint(
    view: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Explorer) -> None:
        raise ImportError("anywidget")

    monkeypatch.setattr(Explorer, "_shown", missing)
    bundle = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" not in bundle
    assert "pip install" in bundle["text/plain"]


def test_a_state_without_a_file_says_so() -> None:
    with pytest.raises(BadInput):
        State(size=10).next_gap()


def test_filters_offer_who_came_later_and_keep_what_was_chosen(trace: Callable[..., LiveTrace]) -> None:
    made = trace(events(("read", 0, 100)), live=True)
    view = explore(made, "sample.bin")
    still(view)
    processes, threads, handles = _Lists(view).lists.values()
    assert [label for label, _ in processes.options] == ["parser [42]"]
    processes.value = ((42, "parser"),)
    assert view.processes == ((42, "parser"),)
    made._source.add(events(("read", 5, 9), first=1, pid=43, tid=99, process="late", handle=7))
    view.follow()
    assert [label for label, _ in processes.options] == ["parser [42]", "late [43]"]
    assert [value for _, value in threads.options] == [42, 99]
    assert [value for _, value in handles.options] == [1, 7]
    assert view.processes == processes.value == ((42, "parser"),)
    view.processes = "late"
    assert processes.value == ((43, "late"),)
    processes.value = ()
    assert view.processes is None


# What is kept beside the widget


def test_the_bundle_is_taken_from_the_cache_only_if_it_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = offline.chart_class.__wrapped__()._esm
    place = offline._place()
    assert offline._read(place) == str(first)
    for damage in (
        lambda: place.chmod(0o666),
        lambda: place.write_bytes(place.read_bytes() + b"alert(1)"),
        lambda: place.write_bytes(b""),
        lambda: (place.unlink(), place.symlink_to("/dev/zero")),
        lambda: (place.unlink(), place.mkdir()),
    ):
        damage()
        assert offline._read(place) is None
        if place.is_file() and not place.is_symlink():
            place.unlink()
            offline._write(place, "fine")
            assert offline._read(place) == "fine"


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    offline._write(tmp_path / "file" / "vega.js", "x")
    assert offline._read(tmp_path / "file" / "vega.js") is None


def test_the_picture_shows_what_the_chart_shows(view: Explorer) -> None:
    view.window = (90, 400)
    mine = Image.open(io.BytesIO(pixels.png(view.scene.canvas, 1))).convert("RGB")
    theirs = Image.open(io.BytesIO(render.png(view.chart(), scale=1))).convert("RGB")
    assert mine.size == theirs.size
    places = view.scene.places
    for panel in ("overview", "grid", "stack"):
        box = getattr(places, panel)
        for number in range(40):
            x, y = (
                box.left + box.width * (number + 0.37) / 40,
                box.top + box.height * ((number * 7) % 40 + 0.4) / 40,
            )
            colours = [picture.getpixel((int(x), int(y))) for picture in (mine, theirs)]
            near = {theirs.getpixel((int(x) + dx, int(y) + dy)) for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
            flat = len(near) == 1
            assert not flat or max(abs(a - b) for a, b in zip(*colours, strict=True)) <= 12, (panel, x, y)


def test_a_picture_says_what_was_left_out(view: Explorer) -> None:
    assert view.choice.told() == ""
    assert "only" not in json.dumps(view.chart().to_dict())
    hostile = "\x1b[31m\u202eevil"
    view.processes = [view.recorded.processes[0]]
    pid, name = view.recorded.processes[0]
    assert f"only {name} [{pid}]" in json.dumps(view.chart().to_dict())
    choice = Choice(ops="read", processes=tuple((n, hostile) for n in range(5)), threads=(), handles=(7,))
    assert choice.told().count("evil") == 3
    assert choice.told().startswith("only reads, ")
    assert choice.told().endswith(" and 2 more, no thread, handle 7")
    assert not set("\x1b\u202e") & set(choice.told())
