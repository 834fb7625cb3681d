"""Windows programs (PE/COFF): headers, sections, data directories, debug data, certificates, COFF symbols.

Directories are given as addresses in memory, which sections map to the file; only the certificates are given as an offset. Sections
begin where their header says, not at the multiple of 512 below, which only the loader rounds to.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORIES = ("export table", "import table", "resources", "exception table", "certificates", "base relocations", "debug directory", "architecture", "global pointer", "TLS table", "load configuration", "bound imports", "import address table", "delay imports", "CLR header", "reserved")  # fmt: skip
_CERTIFICATES, _DEBUG = 4, 6
_SECTION = struct.Struct("<8s4I12xI")
_DEBUG_ENTRY, _SYMBOL = 28, 18
_MOST_DEBUG = 1000
_DIRECTORY_AT = {0x10B: 96, 0x20B: 112}


class Section(NamedTuple):
    """Where a section lies in memory and in the file."""

    name: str
    address: int
    start: int
    length: int


def is_pe(source: Source) -> bool:
    """Say whether the file begins as a DOS program and leads to a PE header."""
    head = source.at(0, 64)
    return head[:2] == b"MZ" and source.at(int.from_bytes(head[60:], "little"), 4) == b"PE\0\0"


def pe_parts(source: Source) -> Iterator[Part]:
    """Yield the headers and what they point to."""
    at = source.fields("<I", 60, "the DOS header")[0]
    yield Part(0, min(64, at), "DOS header")
    yield Part(64, at, "DOS stub")
    yield Part(at, at + 4, "PE signature")
    yield Part(at + 4, at + 24, "COFF header")
    count, symbols, number, optional = source.fields("<2xH4x2IH2x", at + 4, "the COFF header")
    table = at + 24 + optional
    yield Part(at + 24, table, "optional header")
    strings = symbols + _SYMBOL * number if symbols else 0
    if symbols:
        yield Part(symbols, strings, "COFF symbol table")
        yield Part(strings, strings + int.from_bytes(source.at(strings, 4), "little"), "COFF string table")
    sections, problem = [], ""
    yield Part(table, table + 40 * count, "section table")
    for place in range(table, table + 40 * count, 40):
        content = source.at(place, 40)
        if len(content) < 40:  # noqa: PLR2004 - a section header
            problem = f"{count} sections are stated, and the table is cut off"
            break
        section = _section(source, content, strings)
        sections.append(section)
        yield Part(place, place + 40, f"header of {section.name}", 2)
        yield Part(section.start, section.start + section.length, f"section {section.name}")
    yield from _directories(source, at + 24, optional, sections)
    if problem:
        raise Damaged(problem)


def _section(source: Source, content: bytes, strings: int) -> Section:
    raw, _, address, length, start, _ = _SECTION.unpack(content[: _SECTION.size])
    name = raw.rstrip(b"\0")
    if name[:1] == b"/" and name[1:].isdigit() and strings:
        name = source.at(strings + int(name[1:]), 64).split(b"\0", 1)[0]
    return Section(name.decode("utf-8", "replace"), address, start, length if start else 0)


def _directories(source: Source, at: int, length: int, sections: list[Section]) -> Iterator[Part]:
    header = source.at(at, length)
    first = _DIRECTORY_AT.get(int.from_bytes(header[:2], "little"), len(header))
    count = int.from_bytes(header[first - 4 : first], "little")
    for number in range(min(count, len(_DIRECTORIES), (len(header) - first) // 8)):
        address, size = struct.unpack_from("<2I", header, first + 8 * number)
        start = address if number == _CERTIFICATES else _in_file(address, sections)
        if not address or not size or start is None:
            continue
        yield Part(start, start + size, _DIRECTORIES[number], 1 if number == _CERTIFICATES else 2)
        if number == _DEBUG:
            for place in range(
                start, start + min(size, _MOST_DEBUG * _DEBUG_ENTRY) - _DEBUG_ENTRY + 1, _DEBUG_ENTRY
            ):
                kind, long, _, data = struct.unpack("<4I", source.at(place + 12, 16).ljust(16, b"\0"))
                if data:
                    yield Part(data, data + long, f"debug data of type {kind}", 2)


def _in_file(address: int, sections: list[Section]) -> int | None:
    for section in sections:
        if section.address <= address < section.address + section.length:
            return section.start + address - section.address
    return None
