"""The explorer in a real browser on a recording of ten million accesses: on screen, from brush to picture, and a page of bytes.

    python tests/bench/browser.py [--against DIR] [--rounds 3] [--millions 10]     # DIR: a clone of another build

Each round starts a JupyterLab and a headless Chromium for each build, one after the other. A step ends when the message sent after the
new picture has been shown. CPU is what kernel and browser used for one step, which others who load the machine change less.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from rig import QUIET_LOAD, row

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "explorer"))

from lab import Notebook, browser, server  # noqa: E402 - found by the line above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

BRUSHES = 20
CELLS = (
    (
        "import sys; sys.path.insert(0, {here!r})\nfrom explorer import FILES, SIZE, many_files, recording\nfrom fmrw.explorer.browse import browse\n"
        "from fmrw.explorer.explorer import explore\nimport ipywidgets\nopen('big.bin', 'wb').truncate(SIZE)\n"
        "trace, files = recording({count}), many_files(FILES)\ntrace.facts['root'] = '.'"
    ),
    "view = explore(trace, 'big.bin')\nview",
    "seen = ipywidgets.Label()\nseen.add_class('seen')\nipywidgets.dlink((view, 'window'), (seen, 'value'), str)\nseen",
    "browse(files)",
)
AIMS = {"seen": 300, "on screen": 1500, "brush, median": 100, "brush, slowest": 800, "a page of bytes": 50, "browse": 2000}  # fmt: skip
"""What is measured, and the milliseconds it may take."""

_CHANGED = "old => document.querySelector('.seen').innerText !== old"
_FITS = (  # the kernel has drawn for the room there is
    "() => { const box = document.querySelector('.fmrw-explorer');"
    " return Math.abs(box.querySelector('canvas').clientWidth - box.clientWidth) < 30; }"
)
_START = "() => document.querySelector('.fmrw-hex-rows').dataset.start"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, metavar="DIR", help="clone of the other build")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--millions", type=float, default=10)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    busy = ": THE MACHINE IS BUSY, quote ratios only" if load > QUIET_LOAD else ""
    print(f"{arguments.rounds} rounds, load {load:.1f}{busy}, {os.cpu_count()} CPUs", flush=True)
    builds = {"now": HERE.parents[1]}
    if arguments.against:
        builds = {"before": arguments.against.resolve(), **builds}
    taken: dict[str, dict[str, list[float]]] = {}
    for _ in range(arguments.rounds):
        for build, place in builds.items():
            for name, value in measured(place, int(arguments.millions * 1e6)):
                taken.setdefault(name, {each: [] for each in builds})[build].append(value)
    for name, values in taken.items():
        aim = f"   (at most {AIMS[name]})" if name in AIMS else ""
        print(row(name, values, "ms", against=next(iter(builds))) + aim)


def measured(build: Path, count: int) -> Iterator[tuple[str, float]]:
    """Give what one build takes, in milliseconds; its package is found before the one that is installed."""
    with tempfile.TemporaryDirectory() as folder, environment(PYTHONPATH=str(build)):
        work, home = Path(folder) / "work", Path(folder) / "home"
        work.mkdir()
        home.mkdir()
        cells = [cell.format(here=str(HERE), count=count) for cell in CELLS]
        with server(work, home) as url, browser() as new_page:
            yield from measure(Notebook(new_page(), url, work / "book.ipynb", cells))


@contextlib.contextmanager
def environment(**wanted: str) -> Iterator[None]:
    known = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in known.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def measure(book: Notebook) -> Iterator[tuple[str, float]]:
    page = book.page
    book.run()
    began = time.perf_counter()
    book.begin()
    page.wait_for_function(
        "() => document.querySelectorAll('.jp-CodeCell')[1].querySelector('.jp-OutputArea-output') !== null"
    )
    yield "seen", (time.perf_counter() - began) * 1e3
    canvas = page.locator(".fmrw-explorer canvas")
    canvas.wait_for()
    yield "on screen", (time.perf_counter() - began) * 1e3
    book.ended()
    book.run()
    canvas.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.seen').innerText !== ''")
    used = cpu()
    taken = list(brush(page))
    yield "brush, median", statistics.median(taken)
    yield "brush, slowest", max(taken)
    yield from spent("brush", used, BRUSHES)
    used = cpu()
    yield "a page of bytes", statistics.median(scroll(page))
    yield from spent("page", used, BRUSHES)
    began = time.perf_counter()
    book.begin()
    page.locator(".fmrw-browse svg").first.wait_for()
    yield "browse", (time.perf_counter() - began) * 1e3


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1e3


def brush(page: Page) -> Iterator[float]:
    """Drag over the overview and over the tracks by turns; measure from releasing the pointer to the picture."""
    page.wait_for_function(_FITS)
    canvas = page.locator(".fmrw-explorer canvas")
    for number in range(BRUSHES):
        canvas.scroll_into_view_if_needed()
        box = (
            canvas.bounding_box()
        )  # each time: the page may have scrolled, and a drag beside the panels changes nothing
        if box is None:
            raise SystemExit("the chart is not on the page")
        panel = (0.02 + 0.03 * number, 75) if number % 2 else (0.6, 160)
        x, y = box["x"] + panel[0] * box["width"], box["y"] + panel[1]
        before = page.inner_text(".seen")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + box["width"] * 0.2, y + 3, steps=4)
        yield timed(lambda before=before: (page.mouse.up(), page.wait_for_function(_CHANGED, arg=before)))  # type: ignore[misc] # bound now


def scroll(page: Page) -> Iterator[float]:
    """Measure how long a page of bytes takes from the key to the rows."""
    rows = page.locator(".fmrw-hex-scroll")
    changed = f"before => ({_START})() !== before"
    for _ in range(BRUSHES):
        before = page.evaluate(_START)
        yield timed(
            lambda before=before: (rows.press("PageDown"), page.wait_for_function(changed, arg=before))
        )  # type: ignore[misc] # bound now


def cpu() -> dict[str, float]:
    """Give the seconds of processor time that kernel and browser have used."""
    known = dict.fromkeys(("kernel", "browser"), 0.0)
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            line = each.cmdline()
            name = (
                "kernel" if "ipykernel_launcher" in line else "browser" if line and "chrom" in line[0] else ""
            )
            if name:
                known[name] += sum(each.cpu_times()[:2])
    return known


def spent(what: str, before: dict[str, float], times: int) -> Iterator[tuple[str, float]]:
    """Give the milliseconds of processor time of one of so many steps."""
    for name, now in cpu().items():
        yield f"{what}, CPU of the {name}", (now - before[name]) * 1e3 / times


if __name__ == "__main__":
    main()
