"""The parts of a PDF: header, objects of the newest revision, streams, tables, trailers.

Where an object ends is found between its offset and the next, with no parse of its content: one pass over the file
however the offsets are set. Objects of older revisions, and objects inside object streams, have no range of their own.
A table is believed where the object it names stands there; if one does not, the file is searched.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Rebuilt
from fmrw.analysis.structure.pdf.search import MOST, search
from fmrw.analysis.structure.pdf.syntax import OBJECT, SPACE, STREAM, number, reference
from fmrw.analysis.structure.pdf.tables import Tables, last_start, read_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.analysis.structure.parts import Source

_HEADER_WITHIN = 1024
_LONGEST_DICTIONARY = 1 << 16
_TYPE = re.compile(rb"/Type[\0\t\n\f\r ]{0,8}/(\w{1,40})")
_HEADER = re.compile(rb"%PDF-[^\r\n]{0,32}(?:\r\n|\r|\n)?")
_END = re.compile(rb"startxref[\0\t\n\f\r ]{1,16}\d{1,18}[\0\t\n\f\r ]{1,16}%%EOF")

Objects = dict[int, tuple[int, int]]
"""Number → offset, generation."""


def is_pdf(source: Source) -> bool:
    """Say whether a header stands in the first 1,024 bytes, or an end in the last, where readers look for them.

    An end alone counts only where no other container holds it: the last file in a ZIP or an ISO image is not the file.
    """
    if b"%PDF-" in source.at(0, _HEADER_WITHIN):
        return True
    tail = source.at(max(source.size - _HEADER_WITHIN, 0), _HEADER_WITHIN)
    inside = b"PK\5\6" in tail or source.at(0x8001, 5) == b"CD001"
    return not inside and bool(_END.search(tail)) and source.find(b" obj", 0, MOST) >= 0


def is_buried(source: Source) -> bool:
    """Say whether a whole PDF lies somewhere in a file: readers that repair find it whatever stands on both sides."""
    header = source.find(b"%PDF-", 0, MOST)
    last = last_start(source) if header >= 0 else None
    return last is not None and last[0] > header and source.at(last[2] - 5, 5) == b"%%EOF"


def pdf_parts(source: Source) -> Iterator[Part]:
    """Yield header, objects, streams, cross-reference tables and trailers."""
    header = source.find(b"%PDF-", 0, source.size)
    tables = read_tables(source, max(header, 0))
    header = tables.base if source.at(tables.base, 5) == b"%PDF-" else header
    line = _HEADER.match(source.at(header, 64))
    if line:
        yield Part(header, header + line.end(), "header")
    yield from tables.parts
    objects, wrong = _standing(source, tables)
    reason, parts, lost = "", tables.parts, 0
    if wrong or tables.problem or not objects:
        found, more = search(source)
        known = {(part.start, part.name) for part in parts}
        more = [part for part in dict.fromkeys(more) if (part.start, part.name) not in known]
        yield from more
        parts = [*parts, *more]
        lost = len(wrong - found.keys())
        objects = _completed(objects, wrong, found, tables.problem)
        reason = _reason(tables.problem, wrong)
    yield from _objects(source, objects, parts)
    if lost or not objects:
        raise Damaged(f"{reason}; {lost} objects are nowhere" if objects else "no objects")
    if reason:
        raise Rebuilt(f"{reason}; objects are found by search")
    if header < 0:
        raise Damaged("no header")


def _completed(objects: Objects, wrong: set[int], found: Objects, problem: str) -> Objects:
    """Add to the objects that stand where a table says those that were searched for: all, if tables are missing."""
    wanted = found if problem or not objects else {number: found[number] for number in wrong & found.keys()}
    return wanted | objects


def _reason(problem: str, wrong: set[int]) -> str:
    if problem or not wrong:
        return problem or "the cross-reference table names no object"
    return f"{len(wrong)} objects are not where the cross-reference table says"


def _standing(source: Source, tables: Tables) -> tuple[Objects, set[int]]:
    """Divide the objects into those that stand where the tables say (of two bases, the one that hits more), and others."""
    best: tuple[Objects, set[int]] = {}, set(tables.objects)
    for base in dict.fromkeys((tables.base, 0)):
        right: Objects = {}
        for key, (offset, generation) in tables.objects.items():
            start = _starts(source, offset + base, key)
            if start >= 0:
                right[key] = start, generation
        if len(right) > len(best[0]):
            best = right, set(tables.objects) - right.keys()
        if not best[1]:
            break
    return best


def _starts(source: Source, at: int, key: int) -> int:
    """Give where the object begins whose offset is stated, white space skipped; -1 if it is not there."""
    found = OBJECT.match(source.at(at, 64))
    return at + found.start(1) if found and int(found[1]) == key else -1


def _objects(source: Source, objects: Objects, parts: list[Part]) -> Iterator[Part]:
    names = {offset: f"{key} {generation}" for key, (offset, generation) in objects.items()}
    bounds = sorted({*names, *(part.start for part in parts), source.size})
    for offset, limit in pairwise(bounds):
        if offset in names:
            yield from _object(source, (offset, limit), names[offset], objects)


def _object(source: Source, bounds: tuple[int, int], name: str, objects: Objects) -> Iterator[Part]:
    """Yield one object and, if it is one, its stream; `bounds` end where the next thing begins."""
    start, limit = bounds
    head = source.at(start, min(limit - start, _LONGEST_DICTIONARY))
    closed = head.find(b"endobj")
    stream = STREAM.search(head, 0, closed if closed >= 0 else len(head))
    if not stream:
        end = closed + start if closed >= 0 else source.find(b"endobj", start, limit)
        yield Part(start, end + 6 if end >= 0 else limit, _title(name, head))
        return
    data = start + stream.end()
    data_end = _stream_end(source, head[: stream.end()], (data, limit), objects)
    end = source.find(b"endobj", data_end, limit)
    yield Part(start, end + 6 if end >= 0 else limit, _title(name, head[: stream.start()]))
    yield Part(start, data, "dictionary", 2)
    yield Part(data, data_end, "stream", 2)


def _title(name: str, dictionary: bytes) -> str:
    kind = _TYPE.search(dictionary)
    return f"object {name} {kind[1].decode()}" if kind and kind[1].isascii() else f"object {name}"


def _stream_end(source: Source, dictionary: bytes, bounds: tuple[int, int], objects: Objects) -> int:
    """Believe /Length if `endstream` follows, else search for it; the end of the line before it is not the stream's."""
    data, limit = bounds
    length = number(dictionary, b"Length")
    if length is None:
        length = _referred(source, reference(dictionary, b"Length"), objects)
    end = data + length if length is not None else limit
    if end < limit and source.at(end, 32).lstrip(SPACE).startswith(b"endstream"):
        return end
    found = source.find(b"endstream", data, limit)
    if found < 0:
        return limit
    before = source.at(found - 2, 2) if found - 2 >= data else b""
    return found - (2 if before == b"\r\n" else before[1:] in (b"\n", b"\r"))


def _referred(source: Source, key: int | None, objects: Objects) -> int | None:
    """Read the number that is an object of its own."""
    if key is None or key not in objects:
        return None
    content = source.at(objects[key][0], 128)
    head = OBJECT.match(content)
    value = re.match(rb"\s{0,32}(\d{1,18})\s{0,32}endobj", content[head.end() :]) if head else None
    return int(value[1]) if value else None
