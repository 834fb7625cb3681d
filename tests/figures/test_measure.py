"""Widths of text against those of the fonts themselves, as poppler gives them."""

from __future__ import annotations

import re
import subprocess

import altair as alt
import pytest

from fmrw.figures import render
from fmrw.figures.measure import shorten, text_width, wrap

SIZE = 20
TEXTS = ["polyglot.pdf", "WWWWWW", "illicit-lilies", "0x1c0-0x2000", "how-often-a-byte", "@%&{}~^`", "MmNnQq"]


@pytest.mark.parametrize("text", TEXTS)
def test_widths_are_those_of_the_font(text: str) -> None:
    chart = alt.Chart({"values": [{}]}, width=900, height=100).mark_text(
        text=text, fontSize=SIZE, font="Liberation Sans", align="left"
    )
    command = ["pdftotext", "-bbox", "-", "-"]
    found = subprocess.run(command, input=render.pdf(chart), capture_output=True, check=True).stdout.decode()
    left, right = (
        float(re.search(f'{side}="([0-9.]+)"', found.split("<word")[1])[1]) for side in ("xMin", "xMax")
    )  # type: ignore[index] # there is one
    assert text_width(text, SIZE) == pytest.approx(right - left, rel=0.02)


@pytest.mark.parametrize(
    "text", ["", "a", "x" * 300, "a b " * 50, "/usr/lib/" * 20 + "z", "日本" * 60, "é" * 80]
)
@pytest.mark.parametrize("width", [5, 40, 300])
def test_lines_fit_and_hold_every_character(text: str, width: int) -> None:
    lines = wrap(text, width, 12)
    assert all(text_width(line, 12) <= width or len(line) == 1 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_path_breaks_behind_a_slash() -> None:
    assert wrap("some/long/path/of/a/file", 80, 12)[0].endswith("/")


@pytest.mark.parametrize("width", [1, 60, 200, 2000])
def test_cutting_leaves_both_ends_and_as_much_as_fits(width: int) -> None:
    text = "beginning-of-a-name-that-is-rather-long.bin"
    found = shorten(text, width, 12)
    assert found == text or (found.startswith("be") and found[-1] == "n" and "…" in found)
    assert text_width(found, 12) <= width or len(found) == 8
    if width == 200:
        assert text_width(found, 12) > 180


def test_a_monospaced_font_is_taken_to_be_wider() -> None:
    assert text_width("polyglot", 10, font="DejaVu Sans Mono, Arial") > text_width("polyglot", 10)
    assert text_width("polyglot", 10, bold=True) > text_width("polyglot", 10)
