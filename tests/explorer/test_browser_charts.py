"""Charts in a real JupyterLab without network and without a line of set-up, and what is left of them in the saved notebook."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import lab
import pytest
from recordings import events

from fmrw.explorer.explorer import explore
from fmrw.session.charts import CHARTS as ALL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace

CHARTS = [name for name in ALL if name != "effects"]  # that one needs what a probe found

pytestmark = [pytest.mark.browser, pytest.mark.mount]


def test_every_chart_draws_offline_and_stays_in_the_saved_notebook(work: Path, new_page: lab.NewPage) -> None:
    begin = "import fmrw\nrun = fmrw.run(['unzip', '-qt', 'samples/cavity.zip'], 'samples')"
    cells = [begin, *(f"run.trace.chart('cavity.zip', {name!r})" for name in CHARTS)]
    path = work / "book.ipynb"
    with lab.server(work, work.parent / "home") as url:
        book = lab.Notebook(new_page(), url, path, cells)
        book.page.set_viewport_size({"width": 1280, "height": 700 * len(CHARTS)})
        book.run(len(cells))
        book.page.wait_for_function(
            "count => document.querySelectorAll('.jp-RenderedVegaCommon5 canvas').length === count",
            arg=len(CHARTS),
        )
        book.picture("charts-offline")
        book.save()
        assert (book.foreign, book.errors) == ([], [])
        book.page.close()
    kept = [cell["outputs"][-1]["data"] for cell in json.loads(path.read_text())["cells"][1:]]
    assert all(data["image/png"] for data in kept)
    assert not any("text/html" in data for data in kept)
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--stdout", path]
    page = subprocess.run(command, check=True, capture_output=True, text=True, env=lab.environment(work.parent / "home")).stdout  # fmt: skip
    assert len(re.findall('<img[^>]*src="data:image/png', page)) == len(CHARTS)


SETTLED = (  # the kernel knows how much room there is, and has drawn for it
    "() => { const box = document.querySelector('.fmrw-explorer');"
    " return Math.abs(box.querySelector('canvas').clientWidth - box.clientWidth) < 30; }"
)
AGREES = (  # what the notebook keeps is what the kernel has told the digest of
    "async told => {{ const bytes = new TextEncoder().encode({kept} ?? '');"
    " const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));"
    " return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('') === told; }}"
)
KEPT = "jupyterapp.shell.currentWidget.content.model.cells.get({cell}).outputs.get({output}).toJSON().data['{kind}']"


def test_the_picture_of_an_explorer_is_the_one_seen_last(work: Path, new_page: lab.NewPage) -> None:
    begin = "import fmrw, hashlib\nrun = fmrw.run(['unzip', '-qt', 'samples/cavity.zip'], 'samples')"
    told = "print(hashlib.sha256(view.still()[0]['image/png'].encode()).hexdigest())"
    cells = [begin, "view = run.trace.explore('cavity.zip')\nassert view.settle(600)\nview", f"view.window = (0x6000, 0x6200)\n{told}", told,
             "files = fmrw.browse(run.trace)\nfiles", "files.open('cavity.zip').window = (0, 512)"]  # fmt: skip
    path = work / "book.ipynb"
    with lab.server(work, work.parent / "home") as url:
        book = lab.Notebook(new_page(), url, path, cells)
        book.run(2)
        book.page.locator(".fmrw-explorer canvas").wait_for()
        book.page.wait_for_function(SETTLED)
        book.run(1)
        kept = KEPT.format(cell=1, output=1, kind="image/png")
        book.page.wait_for_function(AGREES.format(kept=kept), arg=book.output(3).strip())
        set_in_a_cell = book.page.evaluate(kept)
        assert book.page.locator(".jp-RenderedImage img").count() == 1
        assert not book.page.locator(".jp-RenderedImage img").is_visible()  # the widget is there
        book.page.locator(".fmrw-explorer").get_by_role("button", name="whole").click()
        book.page.wait_for_function(f"before => {kept} !== before", arg=set_in_a_cell)
        book.run(1)
        book.page.wait_for_function(AGREES.format(kept=kept), arg=book.output(4).strip())
        after = book.page.evaluate(kept)
        book.run(2)
        book.page.wait_for_function(f"() => {KEPT.format(cell=4, output=2, kind='image/png')} !== undefined")
        assert "cavity.zip" in book.page.evaluate(KEPT.format(cell=4, output=1, kind="text/html"))
        book.save()
        book.page.close()
        saved = json.loads(path.read_text())
        shutil.copy(path, work / "copy.ipynb")
        reader = new_page()  # a notebook of somebody else: not trusted, its widgets nowhere
        reader.goto(f"{url}lab/tree/copy.ipynb")
        reader.locator(".jp-RenderedImage img").first.wait_for()
        reader.screenshot(path=lab.ARTIFACTS / "kept.png")
        reader.close()
    assert saved["cells"][1]["outputs"][1]["data"]["image/png"].strip() == after.strip()


def test_an_exported_page_fills_the_window_and_zooms(
    trace: Callable[..., LiveTrace], tmp_path: Path, new_page: lab.NewPage
) -> None:
    ranges = [("read", 4000 * number, 4000 * number + 1001) for number in range(260)]
    view = explore(trace(events(*ranges, size=1 << 20)), "sample.bin")
    target = view.export(tmp_path / "x.html")
    page = new_page()
    page.goto(target.as_uri())
    picture = page.locator("#figure svg")
    box = "document.querySelector('#figure svg').getAttribute('viewBox').split(' ').map(Number)"
    for width in (500, 1200):
        page.set_viewport_size({"width": width, "height": 700})
        page.wait_for_function(f"() => document.querySelector('#figure svg')?.clientWidth === {width}")
    whole = page.evaluate(box)
    picture.hover(position={"x": 600, "y": 300})
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"whole => {box}[2] < whole", arg=whole[2])
    near = page.evaluate(box)
    page.mouse.down()
    page.mouse.move(700, 300, steps=3)
    page.mouse.up()
    assert page.evaluate(box)[0] < near[0]
    page.keyboard.press("0")
    assert page.evaluate(box) == whole
    strip = page.locator("#strip")
    place = strip.bounding_box()
    assert place is not None
    assert (place["x"], place["width"]) == (0, 1200)
    told = page.locator("#told")
    assert (
        told.inner_text()
        == "0x0 to 0x100000, a bin is 128 bytes. The finest bins in this page are single bytes."
    )
    strip.hover(position={"x": 46 + (1200 - 54) // 2, "y": 20})
    for _ in range(30):
        page.mouse.wheel(0, -100)
    page.wait_for_function("document.querySelector('#told').innerText.includes('a bin is one byte')")
    low, high = (int(word, 16) for word in re.findall("0x[0-9a-f]+", told.inner_text())[:2])
    assert low < 0x80000 < high < low + 0x800
    page.screenshot(path=lab.ARTIFACTS / "exported-page.png")
    page.mouse.dblclick(600, place["y"] + 20)
    page.wait_for_function("document.querySelector('#told').innerText.startsWith('0x0 to 0x100000')")
    page.close()
