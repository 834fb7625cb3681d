from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from fmrw.errors import FigureError
from fmrw.figures import grid, render
from fmrw.figures.heatmap import heatmap
from fmrw.figures.page import About
from fmrw.figures.playback import _touched, playback, playback_gif, playback_html
from fmrw.figures.plots import timeline
from fmrw.figures.programs import program_colours
from fmrw.figures.theme import LIGHT
from fmrw.trace.schema import empty

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

Make = Callable[..., pl.DataFrame]

SIZE = 65_536
_WAIT_MS = 600_000
ABOUT = About("sample.bin", SIZE)


@pytest.fixture
def steps(events: Make) -> pl.DataFrame:
    """One access per row of the grid, from top to bottom."""
    return events(*(("read", k * 1024, k * 1024 + 1024) for k in range(64)), size=SIZE)


def pixel(picture: Image.Image, column: float, row: float, spec: dict[str, Any]) -> tuple[int, ...]:
    cell = spec["width"] / 64
    return picture.convert("RGB").getpixel(
        (spec["padding"]["left"] + column * cell, spec["padding"]["top"] + row * cell)
    )


def test_a_gif_plays_the_accesses_in_their_order(steps: pl.DataFrame) -> None:
    spec = playback(steps, ABOUT).to_dict()
    ground = tuple(bytes.fromhex(LIGHT.untouched[1:]))
    fresh = tuple(bytes.fromhex(LIGHT.reads[3][1:]))
    with Image.open(io.BytesIO(playback_gif(steps, ABOUT, frames=8))) as film:
        assert film.n_frames == 8
        for frame in range(8):
            film.seek(frame)
            now, before, later = frame * 8 + 7.5, frame * 8 - 0.5, frame * 8 + 8.5
            assert np.abs(np.subtract(pixel(film, 10.5, now, spec), fresh)).max() < 12
            if frame:
                assert np.abs(np.subtract(pixel(film, 10.5, before, spec), fresh)).max() > 12
            if frame < 7:
                assert np.abs(np.subtract(pixel(film, 10.5, later, spec), ground)).max() < 12


@pytest.mark.parametrize(
    ("fidelity", "words"), [("byte", "byte-exact"), ("page", "page-granular: ranges are whole pages")]
)
def test_every_frame_of_a_gif_says_how_exact_it_is(
    events: Make, monkeypatch: pytest.MonkeyPatch, fidelity: str, words: str
) -> None:
    drawn: list[str] = []
    picture = render.picture

    def seen(spec: dict[str, Any], scale: float) -> Image.Image:
        rows = (row for rows in spec["datasets"].values() for row in rows)
        drawn.append(" ".join(row["text"] for row in rows if "text" in row))
        return picture(spec, scale)

    monkeypatch.setattr(render, "picture", seen)
    frame = events(*(("read", k * 1024, k * 1024 + 1024) for k in range(3)), size=SIZE, fidelity=fidelity)
    with Image.open(io.BytesIO(playback_gif(frame, ABOUT, frames=3))) as film:
        assert film.n_frames == len(drawn) == 3
    assert all(words in text for text in drawn)
    assert all(("page-granular" in text) == (fidelity == "page") for text in drawn)


def test_every_frame_says_who_is_at_it(events: Make, words: Callable[[bytes], str]) -> None:
    frame = pl.concat(
        [
            events(*(("read", k, k + 1) for k in range(4)), process="unzip", pid=7, size=SIZE),
            events(("read", 9, 10), process="\x1b[2J", pid=8, size=SIZE).with_columns(
                seq=pl.lit(4, pl.Int64)
            ),
            events(("write", 0, 5), process="cp", pid=9, size=SIZE).with_columns(seq=pl.lit(5, pl.Int64)),
        ]
    )
    chart = playback(frame, ABOUT, frames=3)
    told = {
        row["frame"]: row for rows in chart.to_dict()["datasets"].values() for row in rows if "said" in row
    }
    assert [told[frame]["said"] for frame in range(3)] == [
        "2 of 6 accesses · unzip",
        "4 of 6 accesses · unzip",
        "6 of 6 accesses · \\x1b[2J, cp",
    ]
    assert told[0]["fill"] == program_colours(["unzip", "\x1b[2J", "cp"])["unzip"]
    assert told[2]["fill"] == LIGHT.ink  # two of them
    assert "6 of 6 accesses · \\x1b[2J, cp" in words(render.pdf(chart))
    spec = render.specification(chart) | {"params": [{"name": "frame", "value": 0}]}
    shown = words(render.vl_convert.vegalite_to_pdf(spec))
    assert "2 of 6 accesses · unzip" in shown
    assert "4 of 6" not in shown


@pytest.mark.parametrize(("accesses", "frames"), [(1, 1), (64, 64), (96, 96), (500, 96)])
def test_a_film_has_as_many_frames_as_accesses_up_to_96(events: Make, accesses: int, frames: int) -> None:
    one_by_one = events(*(("read", 100 * k, 100 * k + 100) for k in range(accesses)), size=SIZE)
    (parameter,) = playback(one_by_one, ABOUT).to_dict()["params"]
    assert parameter["value"] == frames - 1


def test_a_gif_has_the_same_bytes_again(steps: pl.DataFrame) -> None:
    assert playback_gif(steps, ABOUT, frames=3) == playback_gif(steps, ABOUT, frames=3)


def test_long_recordings_are_thinned() -> None:
    count = 50_000
    random = np.random.default_rng(2)
    starts = random.integers(0, SIZE - 200, count)
    frame = pl.DataFrame(
        {
            "seq": np.arange(count),
            "op": "read",
            "start": starts,
            "end": starts + 100,
            "pid": 1,
            "process": "p",
        }
    )
    spec = playback(frame, ABOUT).to_dict()
    assert sum(len(rows) for rows in spec["datasets"].values()) < 11_000


def test_nothing_to_play(words: Callable[[bytes], str]) -> None:
    assert "nothing was requested yet" in words(render.pdf(playback(empty(), About("a", 0))))
    with pytest.raises(FigureError, match="take at least 2"):
        playback(empty(), ABOUT, frames=1)


@pytest.fixture
def browser() -> Iterator[Page]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            timeout=_WAIT_MS,
        )
        context = chromium.new_context(offline=True, viewport={"width": 1000, "height": 800})
        context.set_default_timeout(_WAIT_MS)
        page = context.new_page()
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
        page.on(
            "request",
            lambda request: page.complaints.append(request.url) if request.url.startswith("http") else None,
        )
        yield page
        chromium.close()


def opened(browser: Page, html: bytes, folder: Path) -> Page:
    (folder / "figure.html").write_bytes(html)
    browser.goto((folder / "figure.html").as_uri())
    browser.wait_for_function("window.view !== undefined")
    return browser


@pytest.mark.browser
def test_html_draws_hovers_filters_and_zooms_without_a_network(
    browser: Page, events: Make, tmp_path: Path
) -> None:
    frame = events(
        *[("read", 0, 2048)] * 3,
        ("read", 2048, 4096),
        size=SIZE,
        process="</script><script>document.title='x'</script>",
    )
    chart = heatmap(frame, About("</script><script>document.title='x'</script>", SIZE))
    page = opened(browser, render.html(chart), tmp_path)
    spec = chart.to_dict()
    cell, left, top = spec["width"] / 64, spec["padding"]["left"], spec["padding"]["top"]
    figure = page.locator("#figure svg.marks").bounding_box()
    page.mouse.move(figure["x"] + left + 20.5 * cell, figure["y"] + top + 2.5 * cell)
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "0x800-0xc00" in page.locator("#vg-tooltip-element").inner_text()
    page.locator("#figure svg.marks .role-legend-symbol path").first.click()
    page.wait_for_function(
        "document.querySelectorAll('#figure svg.marks .mark-rect path[opacity=\"0.08\"]').length > 0"
    )
    before = page.evaluate("view.scale('x').domain()")
    page.mouse.move(figure["x"] + left + 20.5 * cell, figure["y"] + top + 20.5 * cell)
    page.mouse.wheel(0, -300)
    page.wait_for_function("view.scale('x').domain()[1] - view.scale('x').domain()[0] < 63")
    assert before == [0, 64]
    assert page.title().startswith("</script><script>document.title=")
    assert page.complaints == []


@pytest.mark.browser
def test_the_player_plays(browser: Page, steps: pl.DataFrame, tmp_path: Path) -> None:
    page = opened(browser, playback_html(steps, ABOUT, frames=16), tmp_path)
    assert page.evaluate("view.signal('frame')") == 15
    page.locator("#slider").fill("3")
    page.wait_for_function("view.signal('frame') === 3")
    page.locator("#play").click()
    page.wait_for_function("view.signal('frame') === 15")
    page.wait_for_function("document.getElementById('play').textContent === '▶'")
    assert page.complaints == []


@pytest.mark.browser
def test_axes_follow_the_zoom(browser: Page, events: Make, tmp_path: Path) -> None:
    chart = timeline(events(("read", 0, 2048), ("read", 4096, 8192), size=SIZE), ABOUT)
    page = opened(browser, render.html(chart), tmp_path)
    labels = "[...document.querySelectorAll('#figure svg.marks .role-axis-label text')].map(t => t.textContent).filter(t => t.startsWith('0x'))"
    assert "0x4000" in page.evaluate(labels)
    figure, spec = page.locator("#figure svg.marks").bounding_box(), chart.to_dict()
    page.mouse.move(
        figure["x"] + spec["padding"]["left"] + 100,
        figure["y"] + spec["padding"]["top"] + spec["height"] - 20,
    )
    page.mouse.wheel(0, -1200)
    page.wait_for_function(f"({labels}).some(t => parseInt(t, 16) % 0x4000)")
    assert all(int(label, 16) % 16 == 0 for label in page.evaluate(labels))
    assert page.complaints == []


@pytest.mark.parametrize("size", [1, 300, 100_000])
def test_the_cells_of_each_frame_are_those_its_accesses_touch(events: Make, size: int) -> None:
    at = np.random.default_rng(size).integers(0, size + 1, (400, 2))
    moved = [
        (op, int(one.min()), int(one.max()) + 1)
        for op, one in zip(("read", "write") * 200, at, strict=True)
        if one.min() < size
    ]
    square, frames = grid.Square.rounded(size, 16, "row-major"), 7
    found = _touched(events(*moved, size=size), square, frames)
    cell = square.cell
    expected = {
        (number * frames // len(moved), op, each)
        for number, (op, start, end) in enumerate(moved)
        for each in range(start // cell, -(-min(end, size) // cell))
    }
    assert found.height == len(expected)
    assert {*found.rows()} == expected
