"""Cross-reference tables, streams and trailers of a PDF, newest first.

Tables are read as readers in use do, not as the standard wants them written: any white space and comments between the
numbers, any number of entries on a line, whatever stands before the header. Offsets count from the beginning of the file or from
the header, or from wherever they must count so that `startxref` hits the table it stands behind; `base` says from where.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fmrw.analysis.structure.parts import Part
from fmrw.analysis.structure.pdf.syntax import (
    GAP,
    OBJECT,
    SPACE,
    STREAM,
    dictionary_end,
    number,
    numbers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.analysis.structure.parts import Source

LONGEST = 1 << 20
_USUAL = 1 << 12
_LONGEST_TABLE = 64 << 20
_MOST_TABLES = 1_000
_MOST_STREAMS = 100
_MOST_ROWS = 1_000_000
_BLOCK = 1 << 20
_NEAR = 128
START = re.compile(rb"startxref" + GAP + rb"(\d{1,18})(?:[\0\t\n\f\r ]*+%%EOF)?")
_SECTION = re.compile(GAP + rb"(\d{1,10})" + GAP + rb"(?<!\d)(\d{1,10})(?!\d)")
_ENTRY = re.compile(GAP + rb"(\d{1,20})" + GAP + rb"(?<!\d)(\d{1,10})" + GAP + rb"([nf])")


class Tables(NamedTuple):
    """What the tables say: number of the object → offset, generation; and what they are in the file."""

    objects: dict[int, tuple[int, int]]
    parts: list[Part]
    base: int
    problem: str


class Section(NamedTuple):
    """One table or stream: its objects, and the offsets of others."""

    objects: dict[int, tuple[int, int]]  # offset 0: free, or in a stream of objects
    parts: list[Part]
    others: tuple[int | None, ...]
    problem: str = ""


def read_tables(source: Source, header: int) -> Tables:
    """Follow the tables from the last `startxref` on; what cannot be followed is said in `problem`."""
    last = last_start(source)
    if last is None:
        return Tables({}, [], header, "no startxref")
    place, stated, end = last
    parts = [Part(place, end, "startxref")]
    start, base = _where(source, stated, header, place)
    if start < 0:
        return Tables({}, parts, header, f"no cross-reference table at {stated:#x}, where startxref says")
    objects, problem = dict[int, tuple[int, int]](), ""
    waiting, seen = [start], set[int]()
    while waiting:
        at = waiting.pop()
        if len(seen) >= _MOST_TABLES:
            problem = f"more than {_MOST_TABLES:,} tables follow each other"
            break
        if at in seen:
            continue
        seen.add(at)
        section = _section(source, at, base)
        if section is None:
            problem = f"no cross-reference table at {at:#x}, where the trailer says"
            continue
        parts += section.parts
        problem = problem or section.problem
        objects = section.objects | objects
        waiting += [other + base for other in reversed(section.others) if other is not None]
    present = {
        key: place for key, place in objects.items() if place[0]
    }  # a newer table frees what an older one has
    return Tables(present, sorted(set(parts)), base, problem)


def last_start(source: Source) -> tuple[int, int, int] | None:
    """Find the last `startxref` with a number: where, which, and where it ends."""
    stop = source.size
    while stop > 0:
        first = max(stop - _BLOCK, 0)
        content = source.at(first, min(_BLOCK + 64, source.size - first))
        found = list(START.finditer(content))
        if found:
            return first + found[-1].start(), int(found[-1][1]), first + found[-1].end()
        stop = first
    return None


def _where(source: Source, stated: int, header: int, startxref: int) -> tuple[int, int]:
    """Give where the newest table begins, and from where its offsets count; -1, 0 if there is none."""
    for base in dict.fromkeys((0, header)):
        if _begins(source, stated + base):
            return stated + base, base
    first = max(startxref - _LONGEST_TABLE, 0)
    content = source.at(first, startxref - first)
    streams = [each.start(1) for each in OBJECT.finditer(content, max(0, len(content) - LONGEST))]
    for at in (_last_table(content), *reversed(streams[-_MOST_STREAMS:])):
        if at >= 0 and source.at(first + at - stated, 5) == b"%PDF-":
            return first + at, first + at - stated
    return -1, 0


def _last_table(content: bytes) -> int:
    at = content.rfind(b"xref")
    while at >= 0 and content[at - 5 : at] == b"start":
        at = content.rfind(b"xref", 0, at)
    return at


def _begins(source: Source, at: int) -> bool:
    content = source.at(at, 64).lstrip(SPACE)
    return content.startswith(b"xref") or bool(OBJECT.match(content))


def _section(source: Source, at: int, base: int) -> Section | None:
    content = source.at(at, 64)
    begin = at + len(content) - len(content.lstrip(SPACE))
    if source.at(begin, 4) == b"xref":
        return _table(source, begin)
    return _stream(source, begin, base) if OBJECT.match(content) else None


def _table(source: Source, at: int) -> Section:
    trailer = source.find(b"trailer", at, at + _LONGEST_TABLE)
    if trailer < 0:
        content = source.at(at, LONGEST)
        objects, end, _ = _entries(content)
        return Section(objects, [Part(at, at + end, "cross-reference table")], (), "a table has no trailer")
    objects, _, problem = _entries(source.at(at, trailer - at))
    content = source.at(trailer, _USUAL)
    if dictionary_end(content) < 0:
        content = source.at(trailer, LONGEST)
    start = START.search(content)
    end = start.start() if start else dictionary_end(content)
    end = end if end >= 0 else len(content)
    parts = [Part(at, trailer, "cross-reference table"), Part(trailer, trailer + end, "trailer")]
    if start:
        parts.append(Part(trailer + start.start(), trailer + start.end(), "startxref"))
    closed = dictionary_end(content)
    dictionary = content[: closed if closed >= 0 else end]
    return Section(objects, parts, (number(dictionary, b"XRefStm"), number(dictionary, b"Prev")), problem)


def _entries(content: bytes) -> tuple[dict[int, tuple[int, int]], int, str]:
    """Read the subsections of a table: their objects, where they end, and what is wrong."""
    objects, at, problem = dict[int, tuple[int, int]](), 4, ""
    while head := _SECTION.match(content, at):
        first, count, at = int(head[1]), int(head[2]), head.end()
        for index in range(count):
            entry = _ENTRY.match(content, at)
            if entry is None:
                problem = "a table has fewer entries than it states"
                break
            at = entry.end()
            offset, generation, kind = int(entry[1]), int(entry[2]), entry[3]
            if index == 0 and first == 1 and kind == b"f" and generation == 65535:  # noqa: PLR2004 - the head of the free list is 0
                first = 0
            objects[first + index] = (offset if kind == b"n" else 0), generation
    rest = content[at:].strip(SPACE)
    return objects, at, problem or ("a table cannot be read to its end" if rest and rest[:1] != b"%" else "")


def _stream(source: Source, at: int, base: int) -> Section | None:
    """Read a cross-reference stream; as an object it has its range among the objects."""
    head = source.at(at, LONGEST)
    stream, object_ = STREAM.search(head), OBJECT.match(head)
    if not stream or not object_ or not re.search(rb"/XRef(?![A-Za-z])", head[: stream.start()]):
        return None
    dictionary = head[: stream.start()]
    length = number(dictionary, b"Length")
    data = at + stream.end()
    if length is None:
        end = source.find(b"endstream", data, data + _LONGEST_TABLE)
        length = end - data if end >= 0 else 0
    own = {int(object_[1]): (at - base, int(object_[2]))}
    others = (number(dictionary, b"Prev"),)
    start = START.search(source.at(data + length, _NEAR))
    parts = [Part(data + length + start.start(), data + length + start.end(), "startxref")] if start else []
    decoded = _decoded(source.at(data, min(length, _LONGEST_TABLE)), dictionary)
    if decoded is None:
        return Section(own, parts, others, "a cross-reference stream cannot be decoded")
    return Section(dict(_stream_objects(decoded, dictionary)) | own, parts, others)


def _decoded(content: bytes, dictionary: bytes) -> bytes | None:
    filters = re.findall(rb"/(\w+Decode|Fl|AHx|A85|LZW|RL)(?!\w)", dictionary)
    if filters not in ([], [b"FlateDecode"], [b"Fl"]):
        return None
    if filters:
        inflate = zlib.decompressobj()
        try:
            content = inflate.decompress(content, _LONGEST_TABLE)
        except zlib.error:
            return None
    predictor, columns = number(dictionary, b"Predictor") or 1, number(dictionary, b"Columns") or 1
    if predictor == 1:
        return content
    return _unpredicted(content, columns) if predictor >= 10 else None  # noqa: PLR2004 - PNG's predictors, ISO 32000-2 table 10


def _unpredicted(content: bytes, columns: int) -> bytes | None:
    """Undo the predictors of PNG: a byte before each row says which."""
    if not 0 < columns <= LONGEST:
        return None
    count = len(content) // (columns + 1)
    rows = np.frombuffer(content, np.uint8, count * (columns + 1)).reshape(count, columns + 1)
    if (rows[:, 0] == 2).all():  # noqa: PLR2004 - Up, what everybody writes
        return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).tobytes()
    above, out = bytearray(columns), bytearray()
    for row in rows[:_MOST_ROWS]:
        above = _row(int(row[0]), row[1:].tobytes(), above)
        out += above
    return bytes(out)


def _row(kind: int, row: bytes, above: bytearray) -> bytearray:
    out, left, corner = bytearray(len(row)), 0, 0
    for at, value in enumerate(row):
        up = above[at]
        guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind if kind <= 4 else 0]  # noqa: PLR2004 - five kinds
        left, corner = (value + guess) & 0xFF, up
        out[at] = left
    return out


def _paeth(left: int, up: int, corner: int) -> int:
    middle = left + up - corner
    return min((left, up, corner), key=lambda value: abs(middle - value))


def _stream_objects(content: bytes, dictionary: bytes) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield the objects: those that lie in the file itself (type 1) with their offset, others with 0."""
    widths = numbers(dictionary, b"W")[:3]
    if len(widths) < 3 or not 0 < sum(widths) <= 24:  # noqa: PLR2004 - three fields of at most eight bytes
        return
    count = len(content) // sum(widths)
    rows = np.frombuffer(content, np.uint8, count * sum(widths)).reshape(count, sum(widths)).astype(np.uint64)
    kinds, offsets, generations = (_field(rows, sum(widths[:n]), widths[n], int(n == 0)) for n in range(3))
    index = numbers(dictionary, b"Index") or [0, count]
    at = 0
    for first, stated in zip(index[::2], index[1::2], strict=False):
        for place in range(at, min(at + stated, count)):
            yield first + place - at, (offsets[place] if kinds[place] == 1 else 0, generations[place])
        at += stated


def _field(rows: np.ndarray, at: int, width: int, default: int) -> list[int]:
    value = np.full(len(rows), default if not width else 0, np.uint64)
    for column in range(at, at + width):
        value = value * np.uint64(256) + rows[:, column]
    return value.tolist()
