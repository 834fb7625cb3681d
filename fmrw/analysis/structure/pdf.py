"""PDF: the objects of the newest revision, by the cross-reference table that pypdf reads.

pypdf follows tables, streams and hybrids, and rebuilds a lost table; only the offsets are taken from it. Where an object
ends is found here, between its offset and the next, with no parse of its content: one pass over the file however
the offsets are set. Objects of older revisions, and objects inside object streams, have no range of their own.
"""

from __future__ import annotations

import logging
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source, library

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER_WITHIN = 1024
_LONGEST_DICTIONARY = 1 << 16
_LONGEST_TRAILER = 1 << 20
_OBJECT = re.compile(rb"\s{0,16}\d{1,10}\s{1,16}\d{1,10}\s{1,16}obj")
_STREAM = re.compile(rb">>\s{0,64}stream(?:\r\n|\n)")
_LENGTH = re.compile(rb"/Length\s{1,8}(\d{1,18})(?!\d|\s{1,8}\d{1,9}\s{1,8}R)")
_TYPE = re.compile(rb"/Type\s{0,8}/(\w{1,40})")
_PREVIOUS = re.compile(rb"/Prev\s{1,8}(\d{1,18})")
_START = re.compile(rb"startxref\s{1,16}(\d{1,18})\s{1,16}%%EOF")
_SPACE = b"\0\t\n\f\r "
# pypdf logs what it repairs; without any handler, logging would print that on the user's terminal
logging.getLogger("pypdf").addHandler(logging.NullHandler())


def is_pdf(source: Source) -> bool:
    """Say whether a header stands in the first 1,024 bytes, where readers look for it."""
    return b"%PDF-" in source.at(0, _HEADER_WITHIN)


def pdf_parts(source: Source) -> Iterator[Part]:
    """Yield header, objects, streams, cross-reference tables and trailers."""
    pypdf = library("pypdf", "PDF")
    start = source.at(0, _HEADER_WITHIN).find(b"%PDF-")
    line = re.match(rb"%PDF-[^\r\n]{0,32}\r?\n?", source.at(start, 64))
    yield Part(start, start + line.end() if line else start + 5, "header")
    tables = list(_tables(source))
    yield from tables
    source.file.seek(0)
    reader = pypdf.PdfReader(source.file, strict=False)
    numbers = {
        offset: f"{number} {generation}"
        for generation, entries in reader.xref.items()
        for number, offset in entries.items()
        if 0 < offset < source.size and not _free(reader, generation, number)
    }
    bounds = sorted({*numbers, *(part.start for part in tables if part.depth == 1), source.size})
    missing = 0
    for offset, limit in pairwise(bounds):
        parts = list(_object(source, offset, limit, numbers[offset])) if offset in numbers else []
        missing += offset in numbers and not parts
        yield from parts
    if missing:
        raise Damaged(f"{missing} objects are not where the cross-reference table says")


def _free(reader: object, generation: int, number: int) -> bool:
    return bool(getattr(reader, "xref_free_entry", {}).get(generation, {}).get(number, False))


def _object(source: Source, start: int, limit: int, number: str) -> Iterator[Part]:
    """Yield one object and, if it is one, its stream; `limit` is where the next thing begins."""
    head = source.at(start, min(limit - start, _LONGEST_DICTIONARY))
    if not _OBJECT.match(head):
        return
    stream = _STREAM.search(head)
    closed = head.find(b"endobj")
    if not stream or 0 <= closed < stream.start():
        end = closed + start if closed >= 0 else source.find(b"endobj", start, limit)
        yield Part(start, end + 6 if end >= 0 else limit, _title(number, head))
        return
    data = start + stream.end()
    data_end = _stream_end(source, head[: stream.end()], data, limit)
    end = source.find(b"endobj", data_end, limit)
    yield Part(start, end + 6 if end >= 0 else limit, _title(number, head[: stream.start()]))
    yield Part(start, data, "dictionary", 2)
    yield Part(data, data_end, "stream", 2)


def _title(number: str, dictionary: bytes) -> str:
    kind = _TYPE.search(dictionary)
    return f"object {number} {kind[1].decode()}" if kind and kind[1].isascii() else f"object {number}"


def _stream_end(source: Source, dictionary: bytes, data: int, limit: int) -> int:
    """Believe /Length if `endstream` follows, else search for it."""
    length = _LENGTH.search(dictionary)
    end = data + int(length[1]) if length else limit
    if end < limit and source.at(end, 32).lstrip(_SPACE).startswith(b"endstream"):
        return end
    found = source.find(b"endstream", data, limit)
    return found if found >= 0 else limit


def _tables(source: Source) -> Iterator[Part]:
    """Yield the cross-reference tables and trailers, newest first; streams of references are objects."""
    first = max(source.size - _LONGEST_TRAILER, 0)
    last = None
    for last in _START.finditer(source.at(first, _LONGEST_TRAILER)):
        yield Part(first + last.start(), first + last.end(), "startxref")
    offset, seen = int(last[1]) if last else -1, set[int]()
    while offset not in seen and source.at(offset, 4) == b"xref":
        seen.add(offset)
        trailer = source.find(b"trailer", offset, source.size)
        end = source.find(b"startxref", trailer, trailer + _LONGEST_TRAILER) if trailer >= 0 else -1
        if end < 0:
            return
        yield Part(offset, trailer, "cross-reference table")
        yield Part(trailer, end, "trailer")
        previous = _PREVIOUS.search(source.at(trailer, end - trailer))
        offset = int(previous[1]) if previous else -1
