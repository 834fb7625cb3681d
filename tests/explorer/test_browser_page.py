"""The explorer in a page of JupyterLab: little room, the wheel; and functions, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from explored import BEGIN, SEEN, SIZE, Explored

if TYPE_CHECKING:
    from collections.abc import Callable

    import lab

pytestmark = [pytest.mark.browser, pytest.mark.mount]


def test_in_a_narrow_page_everything_is_there_and_nothing_moves_under_the_pointer(
    notebook: Callable[..., lab.Notebook],
) -> None:
    book = notebook(
        BEGIN, "listed('cavity.zip')", "explore(mounted.trace, 'cavity.zip')", "mounted.unmount()"
    )
    book.page.set_viewport_size({"width": 1024, "height": 1100})
    book.run(3)
    view = Explored(book)
    room = view.page.evaluate("document.querySelector('.fmrw-explorer').parentElement.clientWidth")
    assert room <= 592
    for part in (view.canvas, view.box.locator(".fmrw-toolbar"), view.box.locator(".fmrw-hex")):
        box = part.bounding_box()
        assert box is not None
        assert box["width"] <= room
    for button in view.box.locator(".fmrw-toolbar button").all():
        assert "(" in (button.get_attribute("title") or "")  # names its key
    before = view.box.bounding_box()
    view.hover(0.8, 160, "bytes · ")
    assert view.box.bounding_box() == before
    view.canvas.click(position={"x": 5, "y": 5})  # beside every panel
    view.page.keyboard.press("?")
    view.box.get_by_text("next gap: a range that nothing read").wait_for()
    book.picture("explorer-narrow")
    book.run(1)
    assert (book.foreign, book.errors) == ([], [])


def test_the_wheel_scrolls_the_page_and_zooms_with_control(notebook: Callable[..., lab.Notebook]) -> None:
    cells = [
        BEGIN + SEEN,
        "listed('cavity.zip')",
        "view = explore(mounted.trace, 'cavity.zip')\nstate(view)",
        "view",
        "mounted.unmount()",
    ]
    book = notebook(*cells)
    book.page.set_viewport_size({"width": 1280, "height": 500})
    book.run(4)
    view = Explored(book)
    view.page.wait_for_function("document.querySelector('.seen').innerText !== ''")
    view.canvas.scroll_into_view_if_needed()
    top = "document.querySelector('.fmrw-explorer canvas').getBoundingClientRect().top"
    before = view.page.evaluate(top)
    view.page.mouse.move(*view.point(0.8, 200))
    view.page.mouse.wheel(0, 40 if before > 60 else -40)
    view.page.wait_for_function(f"before => {top} !== before", arg=before)
    assert view.now() == (0, SIZE)
    view.page.mouse.move(*view.point(0.8, 300))
    view.page.keyboard.down("Control")
    view.page.mouse.wheel(0, -100)
    view.page.keyboard.up("Control")
    window = view.window((0, SIZE))
    assert window[1] - window[0] == round(SIZE / 1.25)
    book.run(1)


SITES = """
import sys
sys.path.insert(0, {tests!r})
import ipywidgets, polars as pl
from recordings import events
from fmrw.explorer.explorer import explore
from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import schema
calls = [(site, depth, name) for site, asked in ((1, "scan"), (2, "unpack")) for depth, name in enumerate((asked, "main"))]
known = [{{"site": site, "depth": depth, "module": "/bin/parser", "build_id": "", "offset": 0, "function": name, "quality": "cfi", "line": ""}} for site, depth, name in calls]
Trace.sites = property(lambda _: pl.DataFrame(known, schema=schema.SITES))
frame = pl.concat([events(("read", 0, 600), size=1000, site=1), events(("read", 500, 1000), size=1000, first=1, site=2)])
view = explore(Trace(FrameSource(frame, pl.DataFrame(schema=schema.PROCESSES), {{"options": {{"sites": True}}}})), "sample.bin")
chosen = ipywidgets.Label()
chosen.add_class("chosen")
for trait in ("functions", "colour"):
    ipywidgets.dlink((view, trait), (chosen, "value"), lambda _: f"{{view.functions}} {{view.colour}}")
chosen
"""


def test_functions_are_filtered_by_coloured_by_and_told(notebook: Callable[..., lab.Notebook]) -> None:
    book = notebook(
        SITES.format(tests=str(Path(__file__).parents[1])),
        "view",
        "print(view.events().height, view.problem)",
    )
    book.run(2)
    view = Explored(book)
    chosen = "wanted => document.querySelector('.chosen').innerText === wanted"
    view.hover(0.6, 60, "1 read")
    view.press("filter")
    view.box.locator(".fmrw-checks label", has_text="unpack").click()
    view.page.wait_for_function(chosen, arg="('parser!unpack',) count")
    view.press("filter")
    view.hover(0.52, 60, "asked by parser!unpack ← parser!main")
    view.press("look")
    view.box.locator(".fmrw-menu select").first.select_option("function")
    view.page.wait_for_function(chosen, arg="('parser!unpack',) function")
    view.box.locator(".fmrw-hex-legend", has_text="parser!unpack").wait_for()
    view.press("filter")
    view.press("show everything")
    view.page.wait_for_function(chosen, arg="None function")
    view.press("filter")
    view.hover(0.52, 60, "and by parser!unpack")
    book.picture("explorer-functions")
    book.run(1)
    assert book.output(3).strip() == "2"
    assert (book.foreign, book.errors) == ([], [])
