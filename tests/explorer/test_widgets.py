"""The widgets of a view, without a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from recordings import events, still

from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.palette import SEVERAL, colours
from fmrw.explorer.shortcuts import KEYS, shown
from fmrw.explorer.widgets.filters import Lists
from fmrw.explorer.widgets.menus import PANELS, Menus
from fmrw.explorer.widgets.panel import BESIDE, BYTES_WIDTH, WIDEST
from fmrw.figures.theme import DARK, LIGHT

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace

ROOT = Path(__file__).parents[2]


def test_an_error_in_a_callback_is_shown_escaped(view: Explorer) -> None:
    panel = view._shown()
    view.attempt(lambda: view.go_to("<img src=x onerror=alert(1)>"))
    assert "not an offset" in view.problem
    assert "<img" not in panel.status.value
    assert "&lt;img" in panel.status.value


def drawn(view: Explorer) -> dict[str, Any]:
    """Give what a browser is sent."""
    sent: dict[str, Any] = json.loads(view._shown().figure.marks)
    return sent


def test_a_step_replaces_the_data_and_not_the_chart(view: Explorer) -> None:
    panel = view._shown()
    chart, spec, before = panel.figure, panel.figure.spec, panel.figure.marks
    view.window = (0, 100)
    assert panel.figure.marks != before
    assert (panel.figure, panel.figure.spec) == (chart, spec)
    rows = {name: [list(each.values()) for each in rows] for name, rows in view.scene.canvas.datasets.items()}
    assert list(rows) == ["rects", "lines", "texts"]
    assert drawn(view)["data"] == rows


def test_the_chart_reads_the_places_that_rows_have(view: Explorer) -> None:
    """Fields of the specification are numbers, and rows of a canvas have names."""
    spec = view._shown().figure.spec
    for mark, names in zip(spec["marks"], ("xyXYk", "xyXYkw", "xytksab"), strict=False):
        channels = mark["encode"]["update"]
        known = {"x2": "X", "y2": "Y", "fill": "k", "stroke": "k", "strokeWidth": "w", "text": "t", "fontSize": "s", "align": "a", "fontWeight": "b"}  # fmt: skip
        (row, *_) = view.scene.canvas.datasets[mark["from"]["data"]]
        assert "".join(row) == names
        used = {channel: names[int(each["field"])] for channel, each in channels.items() if "field" in each}
        assert used == {channel: known.get(channel, channel) for channel in used}
        assert set(used.values()) == set(names)


def test_a_picture_is_shown_without_altair() -> None:
    """It takes a second to import, and the first picture waits for it."""
    program = (
        "import sys; sys.path.insert(0, 'tests'); from recordings import *; from fmrw.explorer.explorer import explore;"
        "trace = LiveTrace(FrameSource(events(('read', 0, 9)), pl.DataFrame(schema=schema.PROCESSES), {'root': '/nowhere'}));"
        "view = explore(trace, 'sample.bin'); view._repr_mimebundle_(); print('ipywidgets' in sys.modules, 'altair' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True False\n"


def test_room_changes_the_picture(view: Explorer) -> None:
    panel = view._shown()
    panel.page.width = 1112
    assert view.look.width == 1100
    signals = drawn(view)["signals"]
    assert (signals["width"], signals["height"]) == (1100, 640)
    panel.page.width = 592
    assert view.look.width == 580
    panel.page.width = 10
    assert view.look.width == 320


def test_bytes_stand_beside_the_chart_where_both_have_room(view: Explorer) -> None:
    panel = view._shown()
    panel.page.width = BESIDE
    assert view.width + BYTES_WIDTH <= BESIDE
    assert panel.bytes.layout.width == f"{BYTES_WIDTH}px"
    panel.page.width = BESIDE - 1
    assert panel.bytes.layout.width == "100%"
    assert view.width == WIDEST


def test_another_theme_has_other_colours(view: Explorer) -> None:
    light = drawn(view)["signals"]
    view.theme = "dark"
    dark = drawn(view)["signals"]
    assert dark["keys"] == light["keys"]
    assert (dark["paper"], light["paper"]) == (DARK.paper, LIGHT.paper)
    assert dark["colours"] == list(colours(DARK).values())


def test_the_theme_is_the_pages_unless_one_was_asked_for(
    view: Explorer, trace: Callable[..., LiveTrace]
) -> None:
    view._shown().page.theme = "dark"
    assert view.theme == "dark"
    chosen = explore(trace(events(("read", 0, 9))), "sample.bin", theme="light")
    chosen._shown().page.theme = "dark"
    assert chosen.theme == "light"


def test_pointer_and_keys_are_told_where_nothing_is_pointed_at(view: Explorer) -> None:
    panel = view._shown()
    assert "double click" in panel.status.value
    view.hover = "0x0"
    assert "double click" not in panel.status.value
    view.hover = ""
    assert "double click" in panel.status.value


def test_one_menu_is_open_at_a_time_and_shuts(view: Explorer) -> None:
    menus = Menus(view)
    first, second = list(menus.buttons.values())[:2]
    first.value = True
    shown = menus.place.children
    second.value = True
    assert menus.place.children != shown
    assert (len(menus.place.children), first.value) == (1, False)
    second.value = False
    assert menus.place.children == ()


def test_every_menu_opens_and_its_button_names_its_key(view: Explorer) -> None:
    menus = Menus(view)
    for name in PANELS:
        menus.toggle(name)
        assert menus.opened == name
        assert menus.buttons[name].tooltip.endswith(")")
    menus.toggle("")
    assert menus.opened == ""


def test_keys_open_menus_play_and_move(view: Explorer) -> None:
    panel = view._shown()
    for key, opened in (("f", "filter"), ("?", "help"), ("?", ""), ("l", "look"), ("Escape", "")):
        panel.page.pressed = {"key": key, "at": key + opened}
        assert panel.menus.opened == opened
    panel.page.pressed = {"key": "n", "at": 1}
    assert view.window[0] < 100 < view.window[1]
    panel.page.pressed = {"key": " ", "at": 2}
    assert view.playback.playing
    panel.page.pressed = {"key": " ", "at": 3}
    assert not view.playback.playing


def test_the_help_lists_every_key(view: Explorer) -> None:
    menus = Menus(view)
    menus.toggle("help")
    (panel,) = menus.place.children
    assert all(f"<kbd>{escape(shown(key))}</kbd>" in panel.value for key in KEYS)


def test_a_problem_is_seen_until_something_else_is_done(view: Explorer) -> None:
    panel = view._shown()
    view.attempt(lambda: view.go_to("nowhere"))
    panel.figure.gesture = {"born": 1.0, "hover": [300, 60]}
    assert "not an offset" in panel.status.value
    view.window = (0, 100)
    assert "not an offset" not in panel.status.value


def test_bytes_are_coloured_by_program(view: Explorer) -> None:
    view.colour = "program"
    keys = view.recorded.program_keys
    assert set(keys) == {"parser", "other"}
    rects = {row["k"] for row in view.scene.canvas.rects}
    assert {*keys.values(), SEVERAL} <= rects
    texts = {row["t"] for row in view.scene.canvas.texts}
    assert {"parser", "other", "several"} <= texts
    view.processes = "other"
    assert SEVERAL not in {row["k"] for row in view.scene.canvas.rects}


def test_command_lines_stand_beside_the_names(trace: Callable[..., LiveTrace]) -> None:
    made = trace(events(("read", 0, 100)))
    row = dict.fromkeys(made.processes.columns) | {
        "pid": 42,
        "tid": 42,
        "name": "parser",
        "cmdline": "parser -x\x1b a.bin",
    }
    made._source._processes = pl.DataFrame([row], schema=made.processes.schema)
    (listed,) = Lists(explore(made, "sample.bin")).lists["processes"].options
    assert (listed["label"], listed["detail"]) == ("parser [42]", "parser -x\\x1b a.bin")


def test_filters_offer_who_came_later_and_keep_what_was_chosen(trace: Callable[..., LiveTrace]) -> None:
    made = trace(events(("read", 0, 100)), live=True)
    view = explore(made, "sample.bin")
    still(view)
    processes, threads, handles = Lists(view).lists.values()
    assert [each["label"] for each in processes.options] == ["parser [42]"]
    processes.chosen = [processes.options[0]["id"]]
    assert view.processes == ((42, "parser"),)
    made._source.add(events(("read", 5, 9), first=1, pid=43, tid=99, process="late", handle=7))
    view.follow()
    assert [each["label"] for each in processes.options] == ["parser [42]", "late [43]"]
    assert [each["label"] for each in threads.options] == ["42", "99"]
    assert [each["label"] for each in handles.options] == ["1", "7"]
    assert view.processes == ((42, "parser"),)
    assert len(processes.chosen) == 1
    view.processes = "late"
    assert processes.chosen == [processes.options[1]["id"]]
    processes.chosen = [each["id"] for each in processes.options]
    assert view.processes == ((42, "parser"), (43, "late"))
    processes.chosen = []
    assert view.processes is None
