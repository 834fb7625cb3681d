"""An explorer on a page, with the gestures of a person; and the cells that begin a notebook with one."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import TimeoutError  # noqa: A004 - its own

if TYPE_CHECKING:
    import lab
    from playwright.sync_api import Locator

SIZE = 41_260

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
