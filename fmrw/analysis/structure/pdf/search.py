"""Objects of a PDF found by search: where no table can be believed, as qpdf, poppler and mupdf do.

Of several objects of one number, the last in the file counts. What stands in a stream whose length is right is no object of
this file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import LIMIT, Part
from fmrw.analysis.structure.pdf.syntax import GAP, STREAM, dictionary_end, number
from fmrw.analysis.structure.pdf.tables import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.analysis.structure.parts import Source

MOST = 1 << 30
"""Bytes searched."""

_BLOCK = 1 << 20
_BEFORE, _AHEAD = 64, 1 << 14
_NUMBERS = re.compile(rb"(?<!\d)(\d{1,10})[\0\t\n\f\r ]{1,16}(\d{1,5})[\0\t\n\f\r ]{1,16}\Z")
_TABLE = re.compile(rb"(?<![A-Za-z])xref(?=[\0\t\n\f\r %])" + GAP + rb"\d")
_TRAILER = re.compile(rb"(?<![A-Za-z])trailer" + GAP + rb"<<")


def search(source: Source) -> tuple[dict[int, tuple[int, int]], list[Part]]:
    """Give the objects found, by number: offset, generation; and tables and trailers."""
    objects, parts, inside = dict[int, tuple[int, int]](), list[Part](), 0
    found = 0
    for at, content in _blocks(source):
        for place in _words(content, b"obj"):
            numbers = _NUMBERS.search(content, max(place - _BEFORE, 0), place)
            if numbers and at + place >= inside:
                found += 1
                start = at + numbers.start(1)
                objects[int(numbers[1])] = start, int(numbers[2])
                inside = _stream_end(source, content, at, place + 3)
        if found > LIMIT:
            break
        parts += _tables(content, at)
    return objects, parts


def _blocks(source: Source) -> Iterator[tuple[int, bytes]]:
    """Yield blocks, each with enough of its neighbours for what stands across the border."""
    for at in range(0, min(source.size, MOST), _BLOCK):
        first = max(at - _BEFORE, 0)
        yield first, source.at(first, at - first + _BLOCK + _AHEAD)


def _words(content: bytes, word: bytes) -> Iterator[int]:
    at = content.find(word)
    while at >= 0 and at < _BEFORE + _BLOCK:
        yield at
        at = content.find(word, at + len(word))


def _stream_end(source: Source, content: bytes, at: int, place: int) -> int:
    """Give where the stream of an object ends, 0 if it has none or does not say it rightly."""
    following = content.find(
        b"obj", place, place + _AHEAD
    )  # of `endobj`, or of an object that begins before this one ends
    stream = STREAM.search(content, place, following if following >= 0 else place + _AHEAD)
    length = number(content[place : stream.start()], b"Length") if stream else None
    if not stream or length is None:
        return 0
    end = at + stream.end() + length
    return end if source.at(end, 32).lstrip().startswith(b"endstream") else 0


def _tables(content: bytes, at: int) -> Iterator[Part]:
    for place in _words(content, b"xref"):
        start = START.match(content, place - 5)
        table = _TABLE.match(content, place)
        if start:
            yield Part(at + start.start(), at + start.end(), "startxref")
        elif table:
            end = content.find(b"trailer", place)
            yield Part(at + place, at + (end if end >= 0 else table.end()), "cross-reference table")
    for place in _words(content, b"trailer"):
        if _TRAILER.match(content, place):
            end = dictionary_end(content, place)
            yield Part(at + place, at + (end if end >= 0 else len(content)), "trailer")
