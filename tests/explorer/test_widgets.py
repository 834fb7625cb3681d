"""The widgets of a view, without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recordings import events, still

from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.widgets.filters import Lists
from fmrw.explorer.widgets.tabs import tabs

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace


def test_an_error_in_a_callback_is_shown_escaped(view: Explorer) -> None:
    panel = view._shown()
    view.attempt(lambda: view.go_to("<img src=x onerror=alert(1)>"))
    assert "not an offset" in view.problem
    assert "<img" not in panel.problem.value
    assert "&lt;img" in panel.problem.value


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
    panel.page.width = 1112
    assert view.look.width == 1100
    sides = {
        each["name"]: each["value"]
        for each in panel.figure._py_to_js_updates
        if each["namespace"] == "signal"
    }
    assert sides == {"width": 1100, "height": 640}
    panel.page.width = 10
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
    view._shown().page.theme = "dark"
    assert view.theme == "dark"
    chosen = explore(trace(events(("read", 0, 9))), "sample.bin", theme="light")
    chosen._shown().page.theme = "dark"
    assert chosen.theme == "light"


def test_pointer_and_keys_are_told_where_nothing_is_pointed_at(view: Explorer) -> None:
    panel = view._shown()
    assert "double click" in panel.hover.value
    view.hover = "0x0"
    assert "double click" not in panel.hover.value
    view.hover = ""
    assert "double click" in panel.hover.value


def test_one_tab_is_open_at_a_time_and_shuts(view: Explorer) -> None:
    buttons, place = tabs(view).children
    first, second = buttons.children[:2]
    first.value = True
    shown = place.children
    second.value = True
    assert place.children != shown
    assert (len(place.children), first.value) == (1, False)
    second.value = False
    assert place.children == ()


def test_filters_offer_who_came_later_and_keep_what_was_chosen(trace: Callable[..., LiveTrace]) -> None:
    made = trace(events(("read", 0, 100)), live=True)
    view = explore(made, "sample.bin")
    still(view)
    processes, threads, handles = Lists(view).lists.values()
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
