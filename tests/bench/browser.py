"""The explorer in a real browser on a recording of ten million accesses: on screen, and from brush to picture.

    python tests/bench/browser.py [MILLIONS]

Starts JupyterLab and a headless Chromium. A step ends when the message sent after the new picture has been shown.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "explorer"))

from lab import Notebook, browser, server  # noqa: E402 - found by the line above

if TYPE_CHECKING:
    from playwright.sync_api import Page

BRUSHES = 20
CELLS = (
    (
        "import sys; sys.path.insert(0, {here!r})\nfrom explorer import FILES, many_files, recording\nfrom fmrw.explorer.browse import browse\n"
        "from fmrw.explorer.explorer import explore\nimport ipywidgets\ntrace, files = recording({count}), many_files(FILES)"
    ),
    "view = explore(trace, 'big.bin')\nview",
    "seen = ipywidgets.Label()\nseen.add_class('seen')\nipywidgets.dlink((view, 'window'), (seen, 'value'), str)\nseen",
    "browse(files)",
)
_CHANGED = "old => document.querySelector('.seen').innerText !== old"


def main() -> None:
    count = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    with tempfile.TemporaryDirectory() as folder:
        work, home = Path(folder) / "work", Path(folder) / "home"
        work.mkdir()
        home.mkdir()
        cells = [cell.format(here=str(HERE), count=count) for cell in CELLS]
        with server(work, home) as url, browser() as new_page:
            measure(Notebook(new_page(), url, work / "book.ipynb", cells))


def measure(book: Notebook) -> None:
    page = book.page
    book.run()
    began, before = time.perf_counter(), cpu()
    book.begin()
    page.wait_for_function(
        "() => document.querySelectorAll('.jp-CodeCell')[1].querySelector('.jp-OutputArea-output') !== null"
    )
    print(
        f"  something is seen             {time.perf_counter() - began:8.2f} s    (at most 0.3)", flush=True
    )
    canvas = page.locator(".fmrw-explorer canvas")
    canvas.wait_for()
    print(
        f"  on screen after the call      {time.perf_counter() - began:8.2f} s    (at most 1.5)", flush=True
    )
    print(f"    {spent(before)}")
    book.ended()
    book.run()
    canvas.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.seen').innerText !== ''")
    box = canvas.bounding_box()
    if box is None:
        raise SystemExit("the chart is not on the page")
    taken, used = [], cpu()
    for number in range(BRUSHES):
        panel = (0.02 + 0.03 * number, 60) if number % 2 else (0.6, 160)
        x, y = box["x"] + panel[0] * box["width"], box["y"] + panel[1]
        before = page.inner_text(".seen")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + box["width"] * 0.2, y + 3, steps=4)
        began = time.perf_counter()
        page.mouse.up()
        page.wait_for_function(_CHANGED, arg=before)
        taken.append((time.perf_counter() - began) * 1e3)
    print(f"  brush to picture, median      {statistics.median(taken):8.0f} ms   (at most 100)")
    print(f"  brush to picture, slowest     {max(taken):8.0f} ms   (at most 800)")
    print(f"    {spent(used, BRUSHES)}")
    scroll(page)
    began, used = time.perf_counter(), cpu()
    book.begin()
    page.locator(".fmrw-browse svg").first.wait_for()
    print(f"  browse, 10,000 files          {time.perf_counter() - began:8.2f} s    (at most 2)")
    print(f"    {spent(used)}")


def scroll(page: Page) -> None:
    """Measure how long a page of bytes takes from the key to the rows; the recorded file does not exist, so its colours are all there is."""
    rows = page.locator(".fmrw-hex-scroll")
    started = "() => document.querySelector('.fmrw-hex-rows').dataset.asked"
    taken, used = [], cpu()
    for _ in range(BRUSHES):
        before = page.evaluate(started)
        began = time.perf_counter()
        rows.press("PageDown")
        page.wait_for_function(f"before => ({started})() !== before", arg=before)
        taken.append((time.perf_counter() - began) * 1e3)
    print(f"  scrolling bytes, median       {statistics.median(taken):8.0f} ms   (at most 50)")
    print(f"    {spent(used, BRUSHES)}")


def cpu() -> dict[str, float]:
    """Give the seconds of processor time that kernel, server and browser have used; others who load the machine change them little."""
    known = dict.fromkeys(("kernel", "server", "browser"), 0.0)
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            line = each.cmdline()
            name = (
                "kernel"
                if "ipykernel_launcher" in line
                else "browser"
                if "chrom" in line[0]
                else "server"
                if "jupyter" in " ".join(line)
                else ""
            )
            if name:
                known[name] += sum(each.cpu_times()[:2])
    return known


def spent(before: dict[str, float], times: int = 1) -> str:
    return "CPU: " + ", ".join(
        f"{name} {(now - before[name]) * 1e3 / times:.0f} ms" for name, now in cpu().items()
    )


if __name__ == "__main__":
    main()
