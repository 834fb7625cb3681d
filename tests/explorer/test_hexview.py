"""Bytes as HTML: every byte, in its colour, harmless."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from fmrw.explorer import hexview
from fmrw.offsets import Annotation

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\u202e"


class Spans(HTMLParser):
    """Collect (classes, text) of spans in `pre`, and the tags met."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.spans: list[tuple[str, str]] = []
        self._look: str | None = None
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._inside |= tag == "pre"
        self._look = dict(attrs).get("class") if tag == "span" and self._inside else None

    def handle_endtag(self, _tag: str) -> None:
        self._look = None

    def handle_data(self, data: str) -> None:
        if self._look is not None:
            self.spans.append((self._look, data))


def page(content: bytes, start: int = 0, reads: object = 0, writes: object = 0, **options: object) -> str:
    counts = [np.broadcast_to(np.asarray(each, np.int64), len(content)) for each in (reads, writes)]
    return hexview.page(content, start, *counts, **options)


@pytest.mark.parametrize("start", [0, 5, 15, 16, 2**62 + 3])
@pytest.mark.parametrize("length", [0, 1, 16, 17, 300])
def test_every_byte_stands_in_its_place(start: int, length: int) -> None:
    content = bytes((7 * number) % 256 for number in range(length))
    lines = html.unescape(re.sub(r"<[^>]+>", "", page(content, start).split("<pre>")[1])).splitlines()
    seen = {}
    for line in lines:
        at = int(line[:18].split()[0], 16)
        width = len(f"{at:#010x}")
        cells = line[width + 2 : width + 2 + 48]
        for column in range(16):
            cell = cells[3 * column : 3 * column + 2].strip()
            if cell:
                seen[at + column] = int(cell, 16)
    assert seen == {start + number: byte for number, byte in enumerate(content)}


def test_each_byte_has_its_look() -> None:
    reads, writes = [0, 1, 2, 9, 0, 1], [0, 0, 0, 0, 1, 2]
    spans = Spans(page(b"abcdef", 0, reads, writes)).spans
    looks = {pair: look for look, text in spans if look != "d" for pair in text.split() if len(pair) == 2}
    assert looks == {"61": "n", "62": "o", "63": "O", "64": "O", "65": "n w", "66": "o w"} | {"cd": "O"}


def test_hostile_content_and_names_are_text() -> None:
    made = page(
        b"<script>alert(1)</script>&\"'", parts=[(0, 9, HOSTILE)], annotations=[Annotation(0, 4, HOSTILE)]
    )
    assert Spans(made).tags == {"style", "div", "p", "span", "pre"}
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert "&lt;img" in made


def test_names_stand_above_the_row_they_begin_in() -> None:
    lines = page(bytes(64), 16, parts=[(0, 200, "whole"), (16, 20, "first"), (40, 50, "second")]).split(
        "<pre>"
    )[1]
    rows = [re.sub("<[^>]+>", "", line).strip() for line in lines.splitlines()]
    assert rows[0] == "whole · first"
    assert rows[1].startswith("0x00000010")
    assert rows[2] == "second"
    assert rows[3].startswith("0x00000020")


def test_many_names_are_counted() -> None:
    made = page(bytes(16), parts=[(number, number + 1, f"part {number}") for number in range(9)])
    assert "and 5 more" in made


def test_marked_rows_have_marked_offsets() -> None:
    spans = Spans(page(bytes(48), annotations=[Annotation(20, 22, "x")])).spans
    assert [look for look, text in spans if text.startswith("0x")] == ["d", "a", "d"]


def test_a_message_is_escaped() -> None:
    assert "<img" not in hexview.message(HOSTILE, "dark")


def test_the_largest_page_is_small() -> None:
    random = np.random.default_rng(3)
    content = random.bytes(hexview.MOST)
    assert (
        len(page(content, 0, random.integers(0, 3, len(content)), random.integers(0, 2, len(content))))
        < 100_000
    )
