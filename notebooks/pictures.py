"""Films the explorer: the real widget, in a JupyterLab of its own in a headless Chromium. Called by `bash notebooks/pictures`.

One investigation of `hidden-png.zip`, from the whole file down to the bytes that nobody reads. Writes `explorer.gif` and three stills
beside this script. What the page shows decides when a picture is taken: two screenshots that are the same.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "explorer"))
import lab  # noqa: E402 - beside the tests

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

NAME = "hidden-png.zip"
WIDTH = 960  # pixels of the film
CAPTION, TEXT = 44, 20
COLOURS = 224
SCREEN = {"width": 1180, "height": 1700}  # high enough for the whole widget
MOST = 1_500_000  # bytes of the film

CELLS = (
    f"""
import subprocess
import ipywidgets
import fmrw
mounted = fmrw.mount("samples", reports="off")
for command in (["unzip", "-qt", {NAME!r}], ["python3", "-m", "zipfile", "-t", {NAME!r}]):
    subprocess.run(command, cwd=mounted.root, capture_output=True)
view = mounted.trace.explore({NAME!r})
seen = ipywidgets.Label()
seen.add_class("seen")
ipywidgets.dlink((view, "window"), (seen, "value"), lambda window: "{{}} {{}}".format(*window))
seen
""",
    "view",
    "view.close()\nmounted.unmount()",
)


class Film:
    """The explorer on a page, the gestures of a person, and the frames so far."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.locator(".fmrw-explorer").last
        self.canvas = self.box.locator("canvas")
        self.canvas.wait_for()
        page.wait_for_function(
            "() => { const box = [...document.querySelectorAll('.fmrw-explorer')].at(-1);"
            " return Math.abs(box.querySelector('canvas').clientWidth - box.clientWidth) < 30; }"
        )
        self.box.scroll_into_view_if_needed()
        self.frames: list[tuple[Image.Image, str, int]] = []

    def shot(self, caption: str, hold_ms: int) -> Image.Image:
        """Take a picture once nothing moves any more."""
        before, after = b"", self.box.screenshot()
        while before != after:
            self.page.evaluate(
                "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
            before, after = after, self.box.screenshot()
        picture = Image.open(io.BytesIO(after)).convert("RGB")
        self.frames.append((picture, caption, hold_ms))
        return picture

    def changes(self, act: Callable[[], object]) -> None:
        """Do something that shows another window, and wait for it."""
        old = self.page.inner_text(".seen")
        act()
        self.page.wait_for_function("old => document.querySelector('.seen').innerText !== old", arg=old)

    def press(self, label: str) -> None:
        """Press a button."""
        self.box.locator("button", has_text=re.compile(rf"^\s*{label}\s*$")).click()

    def go(self, place: str) -> None:
        """Go to a place."""
        field = self.box.get_by_placeholder("go to")
        field.fill(place)
        field.press("Enter")

    def drag(self, first: float, last: float, y: float, caption: str) -> None:
        """Drag over a part of the strip, filmed on the way."""
        self.point(first, y)
        self.page.mouse.down()
        steps = 4
        for step in range(1, steps + 1):
            self.point(first + (last - first) * step / steps, y + 2)
            self.shot(caption, 250)
        self.page.mouse.up()

    def point(self, x: float, y: float) -> None:
        """Point at a place of the picture, its width being 1."""
        at = self.canvas.bounding_box()
        if at is None:
            raise RuntimeError("no picture is shown")
        self.page.mouse.move(at["x"] + x * at["width"], at["y"] + y)


def play(film: Film) -> dict[str, Image.Image]:
    """Go through the investigation; give the stills."""
    whole = film.shot("the whole file: blue was read, grey never", 2200)
    film.changes(lambda: film.drag(0.12, 0.62, 60, "drag over a part of it"))
    film.shot("the part, larger", 1800)
    film.changes(lambda: film.press("whole"))
    film.changes(lambda: film.press("next gap"))
    gap = film.shot("next gap: nobody reads this", 2400)
    film.changes(lambda: film.go("0x21c0+0x80"))
    film.page.wait_for_selector(".fmrw-hex-row")
    film.point(0.1, 200)
    bytes_ = film.shot("down to the bytes: a PNG is hidden here", 3200)
    film.changes(lambda: film.press("whole"))
    film.press("filter")
    film.box.locator(".fmrw-checks label", has_text="python").first.click()
    film.shot("one program alone", 2200)
    film.press("show everything")
    film.press("compare")
    film.box.locator(".fmrw-menu button", has_text="compare").click()
    film.shot("who alone reads what, and what nobody", 2600)
    return {"explorer-whole": whole, "explorer-gap": gap, "explorer-bytes": bytes_}


def framed(picture: Image.Image, caption: str, height: int) -> Image.Image:
    """Put a picture on a page of the film, with what it shows above it."""
    scale = WIDTH / picture.width
    small = picture.resize((WIDTH, round(picture.height * scale)), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (WIDTH, height + CAPTION), "white")
    page.paste(small, (0, CAPTION))
    ImageDraw.Draw(page).text((12, 10), caption, "#b3005e", ImageFont.load_default(TEXT))
    return page


def develop(film: Film, target: Path) -> None:
    """Write the film."""
    height = max(round(picture.height * WIDTH / picture.width) for picture, _, _ in film.frames)
    pages = [framed(picture, caption, height) for picture, caption, _ in film.frames]
    sheet = Image.new("RGB", (WIDTH, pages[0].height * len(pages)))
    for number, page in enumerate(pages):
        sheet.paste(page, (0, number * page.height))
    palette = sheet.quantize(
        COLOURS, method=Image.Quantize.MAXCOVERAGE
    )  # one for all, so that a colour does not change its meaning
    quantized = [page.quantize(COLOURS, palette=palette, dither=Image.Dither.NONE) for page in pages]
    holds = [hold for _, _, hold in film.frames]
    quantized[0].save(
        target, save_all=True, append_images=quantized[1:], duration=holds, loop=0, optimize=True
    )
    if target.stat().st_size > MOST:
        raise RuntimeError(f"{target} has {target.stat().st_size:,} bytes; take fewer frames or colours")


def main() -> None:
    """Film, and write what came of it."""
    with tempfile.TemporaryDirectory(prefix="fmrw-film-") as name:
        work, home = Path(name, "work"), Path(name, "home")
        (work / "samples").mkdir(parents=True)
        home.mkdir()
        shutil.copy(HERE.parent / "data" / NAME, work / "samples")
        with lab.server(work, home) as url, lab.browser() as new_page:
            page = new_page()
            page.set_viewport_size(SCREEN)
            book = lab.Notebook(page, url, work / "film.ipynb", CELLS)
            book.page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
            book.run(2)
            film = Film(book.page)
            stills = play(film)
            book.run()
    develop(film, HERE / "explorer.gif")
    for still, picture in stills.items():
        picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            HERE / f"{still}.png", optimize=True
        )
        print(HERE / f"{still}.png")
    print(HERE / "explorer.gif")


if __name__ == "__main__":
    main()
