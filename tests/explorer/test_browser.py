"""The explorer in a real JupyterLab in a real browser, without network, from mounting to the export; pictures are kept in `.artifacts`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from explored import BEGIN, SEEN, SIZE, Explored
from recordings import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import lab

pytestmark = [pytest.mark.browser, pytest.mark.mount]

STARTED = "() => document.querySelector('.fmrw-hex-rows').dataset.start"
TOLD = "print(view.window, view.processes, view.events().height, view.problem, sep='|')"


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
    page_by_page(view, work)
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
    before = view.page.evaluate(STARTED)
    rows.hover()
    view.page.mouse.wheel(0, -400)
    view.page.wait_for_function(f"before => ({STARTED})() !== before", arg=before)
    part = view.box.get_by_label("jump to part")
    part.focus()
    offered = view.box.locator("datalist option").first
    offered.wait_for(state="attached")
    part.fill(offered.get_attribute("value") or "")
    view.box.locator(".fmrw-hex-offset", has_text="00000000").wait_for()
    rows.press("Home")
    rows.press("p")  # other keys are the explorer's
    view.box.get_by_text("no previous gap: 1 in all").wait_for()


def page_by_page(view: Explored, work: Path) -> None:
    """Every row that is shown holds the file's bytes, also of pages that were brought before they were asked for."""
    content, rows = (work / "samples" / "cavity.zip").read_bytes(), view.box.locator(".fmrw-hex-scroll")
    shown = """() => [...document.querySelectorAll('.fmrw-hex-row')].map(row =>
        ['offset', 'bytes'].map(part => row.querySelector(`.fmrw-hex-${part}`).textContent))"""
    seen: list[int] = []
    rows.press("Control+Home")
    for key in ("PageDown", "PageDown", "PageDown", "PageUp", "PageDown"):
        before = view.page.evaluate(STARTED)
        rows.press(key)
        view.page.wait_for_function(f"before => ({STARTED})() !== before", arg=before)
        found = [(int(offset, 16), bytes.fromhex(text)) for offset, text in view.page.evaluate(shown)]
        seen.append(found[0][0])
        assert found == [
            (at, content[at : at + 16]) for at in range(seen[-1], seen[-1] + 16 * len(found), 16)
        ]
    assert seen[0] < seen[1] < seen[2] > seen[3]
    assert view.box.locator(".fmrw-hex-row .s").count() == 2  # the cursor: as a number, and as text


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


def test_a_brush_over_a_picture_the_kernel_has_replaced_means_what_was_seen(
    notebook: Callable[..., lab.Notebook], work: Path
) -> None:
    """Two brushes while nothing can be drawn: both are made on the same picture, and the second one counts."""
    book = notebook(
        BEGIN + SEEN,
        "listed('cavity.zip')\nview = explore(mounted.trace, 'cavity.zip')\nstate(view)",
        "view",
        "with view._lock, open('go') as pipe:\n    print('held', flush=True)\n    pipe.readline()",
        "mounted.unmount()",
    )
    book.run(3)
    view = Explored(book)
    view.drag(0.88, 0.95, 160)
    alone = view.window((0, SIZE))
    view.press("whole")
    view.becomes((0, SIZE))
    os.mkfifo(work / "go")
    pipe = os.open(work / "go", os.O_RDWR)
    try:
        book.begin()
        view.page.locator(".jp-OutputArea-output", has_text="held").wait_for(state="attached")
        view.drag(0.75, 0.85, 160)
        view.drag(0.88, 0.95, 160)
        os.write(pipe, b"go\n")
        book.ended()
    finally:
        os.close(pipe)
        (work / "go").unlink()
    view.becomes(alone)
    book.run(1)
    assert (book.foreign, book.errors) == ([], [])
