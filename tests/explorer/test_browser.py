"""The explorer in a real JupyterLab in a real browser, without network; pictures are kept in `.artifacts`."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import lab
import pytest
from playwright.sync_api import TimeoutError  # noqa: A004 - its own
from recordings import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator

SIZE = 41_260

pytestmark = [pytest.mark.browser, pytest.mark.mount]

BEGIN = """
import subprocess, sys, fmrw, ipywidgets
from fmrw.explorer.browse import browse
from fmrw.explorer.explorer import explore
mounted = fmrw.mount("samples")

def listed(name):
    code = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).testzip()"
    subprocess.run([sys.executable, "-c", code, name], cwd=mounted.root, check=True)
"""
SEEN = """
def state(view):
    seen = ipywidgets.Label()
    seen.add_class("seen")
    ipywidgets.dlink((view, "window"), (seen, "value"), lambda window: "{} {}".format(*window))
    followed = ipywidgets.Label()
    followed.add_class("followed")
    ipywidgets.dlink((view, "seen"), (followed, "value"), lambda processes: f"{len(processes)} processes")
    return ipywidgets.HBox([seen, followed])
"""
TOLD = "print(view.window, view.processes, view.events().height, view.problem, sep='|')"


class Explored:
    """An explorer on a page, with the gestures of a person."""

    def __init__(self, notebook: lab.Notebook) -> None:
        self.page = notebook.page
        self.box: Locator = self.page.locator(".fmrw-explorer").last
        self.canvas = self.box.locator("canvas")
        self.canvas.wait_for()
        self.page.wait_for_function(
            "() => { const box = [...document.querySelectorAll('.fmrw-explorer')].at(-1);"
            " return Math.abs(box.querySelector('canvas').clientWidth - box.clientWidth) < 30; }"
        )
        self.canvas.scroll_into_view_if_needed()

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Give the place in the page of a point of the chart, the width being 1."""
        self.canvas.scroll_into_view_if_needed()
        box = self.canvas.bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y

    def hover(self, x: float, y: float, text: str) -> None:
        """Move the mouse there until the text shows: what is drawn may come after the mouse."""
        wanted = self.box.get_by_text(text).first
        for step in range(120):
            self.page.mouse.move(*self.point(x, y + step % 2))
            with contextlib.suppress(TimeoutError):
                wanted.wait_for(timeout=1000)
                return
        pytest.fail(f"{text!r} never showed")

    def drag(self, x: float, x2: float, y: float) -> None:
        mouse = self.page.mouse
        mouse.move(*self.point(x, y))
        mouse.down()
        mouse.move(*self.point(x2, y + 4), steps=6)
        mouse.up()

    def window(self, different: tuple[int, int]) -> tuple[int, int]:
        """Wait until another window is shown; give it."""
        self.page.wait_for_function(
            "old => { const text = document.querySelector('.seen').innerText; return text && text !== old; }",
            arg=" ".join(map(str, different)),
        )
        return self.now()

    def becomes(self, window: tuple[int, int]) -> None:
        """Wait until this window is shown, whatever is on the way to it."""
        self.page.wait_for_function(
            "wanted => document.querySelector('.seen').innerText === wanted", arg=" ".join(map(str, window))
        )

    def now(self) -> tuple[int, int]:
        """Give the window that is shown."""
        start, end = self.page.inner_text(".seen").split()
        return int(start), int(end)

    def press(self, label: str) -> None:
        self.box.locator("button", has_text=re.compile(rf"^\s*{label}\s*$")).click()


@pytest.fixture
def notebook(
    work: Path, new_page: lab.NewPage, request: pytest.FixtureRequest
) -> Iterator[Callable[..., lab.Notebook]]:
    opened = []

    def book(*cells: str, **options: str) -> lab.Notebook:
        opened.append(lab.Notebook(new_page(), url, work / "book.ipynb", cells, **options))
        return opened[-1]

    with lab.server(work, work.parent / "home") as url:
        yield book
        for each in opened:
            each.picture(f"last-{request.node.name}")
            each.page.close()


def test_from_mount_to_unmount(notebook: Callable[..., lab.Notebook], work: Path) -> None:
    book = notebook(
        BEGIN + SEEN,
        "view = explore(mounted.trace, 'cavity.zip')\nstate(view)",
        "view",
        "listed('cavity.zip')\nlisted('cavity.zip')",
        TOLD,
        "mounted.unmount()",
    )
    book.run(3)
    view = Explored(book)
    book.picture("explorer-waiting")
    book.run(1)
    view.page.get_by_text("2 processes", exact=True).wait_for()  # the view follows what runs
    view.canvas.scroll_into_view_if_needed()
    brush_click_and_wheel(view, book)
    gaps_and_keys(view, book)
    down_to_the_bytes(view, book)
    search_select_and_scroll(view, book)
    filter_and_export(view, book, work)
    book.run(1)
    assert (book.foreign, book.errors) == ([], [])


def brush_click_and_wheel(view: Explored, book: lab.Notebook) -> None:
    view.drag(0.55, 0.98, 60)
    window = view.window((0, SIZE))
    assert 20_000 < window[0] < 24_000
    assert 39_000 < window[1] <= SIZE
    view.page.wait_for_function(  # what lies where the drag has ended, not where it began
        "least => parseInt(document.querySelector('.fmrw-status').innerText.match(/^0x([0-9a-f]+)/)?.[1], 16) > least",
        arg=38_000,
    )
    book.picture("explorer-brushed")
    view.page.mouse.dblclick(*view.point(0.7, 60))
    view.becomes((0, SIZE))
    view.page.mouse.click(*view.point(0.8, 200))
    zoomed = view.window((0, SIZE))
    assert zoomed[1] - zoomed[0] == SIZE // 4
    view.page.mouse.move(*view.point(0.8, 200))
    view.page.keyboard.down("Control")
    view.page.mouse.wheel(0, -100)
    wheeled = view.window(zoomed)
    view.page.keyboard.up("Control")
    assert wheeled[1] - wheeled[0] == round((zoomed[1] - zoomed[0]) / 1.25)
    view.press("whole")
    view.becomes((0, SIZE))


def gaps_and_keys(view: Explored, book: lab.Notebook) -> None:
    view.press("next gap")
    gap = view.window((0, SIZE))
    assert gap[0] < 0x1100
    assert gap[1] > 0x6000
    view.press("next gap")
    view.box.get_by_text("no next gap").wait_for()
    book.picture("explorer-gap")
    view.canvas.click(position={"x": 5, "y": 5})  # beside every panel: takes the focus, changes nothing
    view.page.keyboard.press("+")
    nearer = view.window(gap)
    assert abs(nearer[1] - nearer[0] - (gap[1] - gap[0]) / 2) <= 1
    view.page.evaluate("document.activeElement.blur()")  # as when a widget that had the focus is replaced
    for key in ("d", "d", "Backspace"):
        view.page.keyboard.press(key)
    view.becomes(gap)
    assert view.page.locator(".jp-Notebook .jp-CodeCell").count() == 6  # the notebook took no key for itself


def down_to_the_bytes(view: Explored, book: lab.Notebook) -> None:
    place = view.box.get_by_placeholder("go to")
    place.fill("0x6000-0x6200")
    place.press("Enter")
    view.becomes((0x6000, 0x6200))
    view.box.locator(
        ".fmrw-hex-names", has_text="entry second.bin"
    ).first.wait_for()  # once the format is known
    assert view.box.locator(".fmrw-hex-bytes .n").count() > 0  # nothing read it
    assert view.box.locator(".fmrw-hex-bytes span:not(.n)").count() > 0
    view.hover(0.8, 160, "reads; ")
    book.picture("explorer-hex")
    place.fill("<b>nowhere</b>")
    place.press("Enter")
    view.box.get_by_text("'<b>nowhere</b>' is not an offset").wait_for()


def search_select_and_scroll(view: Explored, book: lab.Notebook) -> None:
    search = view.box.get_by_label("find text or bytes")
    search.fill("second.bin")
    search.press("Enter")
    view.box.get_by_text("found at 0x").wait_for()
    view.box.locator(".fmrw-hex-grid", has_text="uint16").wait_for()  # what is selected, as numbers
    assert view.box.locator(".fmrw-hex-bytes .s").count() == len("second.bin")
    book.picture("explorer-found")
    rows = view.box.locator(".fmrw-hex-scroll")
    rows.press("Control+End")
    last = f"{(SIZE - 1) // 16 * 16:08x}"
    view.box.locator(".fmrw-hex-offset", has_text=last).wait_for()
    started = "() => document.querySelector('.fmrw-hex-rows').dataset.start"
    before = view.page.evaluate(started)
    rows.hover()
    view.page.mouse.wheel(0, -400)
    view.page.wait_for_function(f"before => ({started})() !== before", arg=before)
    part = view.box.get_by_label("jump to part")
    part.focus()
    offered = view.box.locator("datalist option").first
    offered.wait_for(state="attached")
    part.fill(offered.get_attribute("value") or "")
    view.box.locator(".fmrw-hex-offset", has_text="00000000").wait_for()
    rows.press("Home")
    rows.press("p")  # other keys are the explorer's
    view.box.get_by_text("no previous gap: 1 in all").wait_for()


def filter_and_export(view: Explored, book: lab.Notebook, work: Path) -> None:
    view.press("filter")
    view.box.locator(".fmrw-checks label", has_text="python").nth(1).click()
    view.box.locator(".fmrw-checks label", has_text="testzip").first.wait_for()  # the command line
    book.picture("explorer-filter")
    view.press("export")
    view.press("export what I see")
    view.box.get_by_text("download", exact=True).wait_for()
    book.picture("explorer-export")
    exported = list(work.glob("cavity.zip-0x6000-0x6200.pdf"))
    assert [path.read_bytes()[:5] for path in exported] == [b"%PDF-"]
    book.run(1)
    window, processes, count, problem = book.output(5).split("|")
    assert window == "(24576, 25088)"
    assert processes.count("python") == 1
    assert int(count) == 1
    assert problem.strip() == ""


def test_hostile_names_are_text_wherever_they_stand(notebook: Callable[..., lab.Notebook]) -> None:
    rename = f"open('/proc/self/comm', 'w').write('<img src=x>')\nhostile = {HOSTILE!r}\nopen(f'{{mounted.root}}/{{hostile}}', 'rb').read(3000)"
    book = notebook(
        BEGIN,
        f"subprocess.run([sys.executable, '-c', {rename.replace('{mounted.root}', '.')!r}], cwd=mounted.root, check=True)",
        "files = browse(mounted.trace)\nfiles",
        "files.view.annotate('<img src=x onerror=window.hacked=2>', 0, 64)\nfiles.view.window = (0, 512)",
        "mounted.unmount()",
    )
    book.run(3)
    book.page.get_by_role("button", name="<img").click()
    view = Explored(book)
    book.picture("browse")
    view.press("filter")
    view.box.locator(".fmrw-checks label", has_text="<img src=x>").wait_for()
    view.press("mark")
    book.run(1)
    view.page.wait_for_selector(".fmrw-hex-row .m")
    view.canvas.scroll_into_view_if_needed()
    view.hover(0.8, 160, "<img src=x>")
    book.picture("explorer-hostile")
    book.run(1)
    assert book.page.locator(".jp-OutputArea img[src=x]").count() == 0
    assert book.page.evaluate("window.hacked === undefined")
    assert (book.foreign, book.errors) == ([], [])


def test_the_widget_loads_in_notebook_7(work: Path, new_page: lab.NewPage) -> None:
    with lab.server(work, work.parent / "home", ("notebook",)) as url:
        cells = (BEGIN, "listed('cavity.zip')", "explore(mounted.trace, 'cavity.zip')", "mounted.unmount()")
        book = lab.Notebook(new_page(), url, work / "book.ipynb", cells, frontend="notebooks")
        book.run(3)
        Explored(book)
        book.picture("notebook-7")
        book.run(1)
        assert book.foreign == []


def test_the_widget_loads_in_voila(work: Path, new_page: lab.NewPage) -> None:
    path = work / "book.ipynb"
    path.write_text(
        json.dumps(
            lab.notebook(
                [
                    BEGIN
                    + "listed('cavity.zip')\nview = explore(mounted.trace, 'cavity.zip')\nmounted.unmount()\nview"
                ]
            )
        )
    )
    with lab.server(work, work.parent / "home", ("voila", path.name), ready="voila/static/voila.js") as url:
        shown = new_page()
        shown.goto(url)
        shown.locator(".fmrw-explorer canvas").wait_for()
        shown.locator(".fmrw-explorer").screenshot(path=lab.ARTIFACTS / "voila.png")
        shown.close()


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
