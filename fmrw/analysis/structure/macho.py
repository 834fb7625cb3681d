"""Programs of Apple's systems (Mach-O): load commands and what they point to; also several in one file ("universal").

A universal file has the magic of a Java class; what tells them apart is that it has few programs, and each lies in the file.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGICS = {b"\xce\xfa\xed\xfe": ("<", 0), b"\xcf\xfa\xed\xfe": ("<", 1), b"\xfe\xed\xfa\xce": (">", 0), b"\xfe\xed\xfa\xcf": (">", 1)}  # fmt: skip
_FAT_ENTRY = {b"\xca\xfe\xba\xbe": 20, b"\xca\xfe\xba\xbf": 32}
_MOST_PROGRAMS = 40
_SEGMENT, _SEGMENT_64 = 0x1, 0x19
_ZERO_FILLED = (0x1, 0xC, 0x12)
_TABLES = {  # command → pairs of (offset, size or count) as they stand behind its head: name, bytes of each
    0x2: (("symbol table", 0), ("string table", 1)),
    0x22: (
        ("rebase info", 1),
        ("binding info", 1),
        ("weak binding info", 1),
        ("lazy binding info", 1),
        ("export info", 1),
    ),
    0x1D: (("code signature", 1),),
    0x1E: (("segment split info", 1),),
    0x26: (("function starts", 1),),
    0x29: (("data in code", 1),),
    0x2B: (("code signing requirements of libraries", 1),),
    0x2E: (("linker optimisation hints", 1),),
    0x33: (("exports trie", 1),),
    0x34: (("chained fixups", 1),),
    0x36: (("atom info", 1),),
}
_DYNAMIC_SYMBOLS = 0xB
_DYNAMIC = (("table of contents", 8), ("module table", 52), ("external references", 4), ("indirect symbols", 4), ("external relocations", 8), ("local relocations", 8))  # fmt: skip
_REQUIRED = 0x80000000


def is_macho(source: Source) -> bool:
    """Say whether a program of Apple's systems begins at 0, or a universal file: of few programs, since classes of Java have the same magic."""
    magic = source.at(0, 4)
    return magic in _MAGICS or (magic in _FAT_ENTRY and 0 < _count(source) < _MOST_PROGRAMS)


def _count(source: Source) -> int:
    return int.from_bytes(source.at(4, 4), "big")


def _programs(source: Source) -> Iterator[tuple[int, int]]:
    head = source.at(0, 8)
    for number in range(_count(source)):
        if head[:4] == b"\xca\xfe\xba\xbe":
            start, size = source.fields(">8x2I4x", 8 + 20 * number, "the table of programs")
        else:
            start, size = source.fields(">8x2Q8x", 8 + 32 * number, "the table of programs")
        yield start, size


def macho_parts(source: Source) -> Iterator[Part]:
    """Yield header, load commands, segments, sections and tables of each program."""
    magic = source.at(0, 4)
    if magic in _MAGICS:
        yield from _program(source, 0, 1)
        return
    yield Part(0, 8, "universal header")
    programs = list(_programs(source))
    yield Part(8, 8 + _FAT_ENTRY[magic] * len(programs), "table of programs")
    outside = [number for number, (start, size) in enumerate(programs) if start >= source.size]
    for number, (start, size) in enumerate(programs):
        yield Part(start, start + size, f"program {number}")
        if source.at(start, 4) in _MAGICS:
            yield from _program(source, start, 2)
    if outside:
        raise Damaged(f"program {outside[0]} lies outside the file")


def _program(source: Source, base: int, depth: int) -> Iterator[Part]:
    order, wide = _MAGICS[source.at(base, 4)]
    length = 32 if wide else 28
    count, size = source.fields(f"{order}16x2I", base, "the header")
    yield Part(base, base + length, "Mach-O header", depth)
    yield Part(base + length, base + length + size, "load commands", depth)
    at, end = base + length, base + length + size
    for number in range(count):
        kind, own = source.fields(f"{order}2I", at, f"load command {number}")
        if own < 8 or at + own > end:  # noqa: PLR2004 - kind and size
            raise Damaged(f"load command {number} at {at:#x} is said to have {own} bytes")
        content = source.need(at, own, f"load command {number}")
        for part in _command(kind, content, order, wide):
            yield Part(base + part.start, base + part.end, part.name, depth + part.depth - 1)
        at += own


def _command(kind: int, content: bytes, order: str, wide: int) -> Iterator[Part]:
    """Yield what a load command points to, from the beginning of the program."""
    if kind in (_SEGMENT, _SEGMENT_64):
        yield from _segment(content, order, kind == _SEGMENT_64)
    elif kind == _DYNAMIC_SYMBOLS and len(content) >= 80:  # noqa: PLR2004 - the whole command
        for number, (name, each) in enumerate(_DYNAMIC):
            start, count = struct.unpack_from(f"{order}2I", content, 32 + 8 * number)
            if start and count:
                yield Part(start, start + count * each, name, 2)
    else:
        for number, (name, each) in enumerate(_TABLES.get(kind & ~_REQUIRED, ())):
            if len(content) >= 16 + 8 * number:
                start, count = struct.unpack_from(f"{order}2I", content, 8 + 8 * number)
                if start and count:
                    yield Part(start, start + count * (each or (16 if wide else 12)), name, 2)


def _segment(content: bytes, order: str, wide: bool) -> Iterator[Part]:  # noqa: FBT001 - of its two forms
    form = struct.Struct(f"{order}8x16s16x2Q8xI4x" if wide else f"{order}8x16s8x2I8xI4x")
    section = struct.Struct(f"{order}16s16s8xQI4x2II12x" if wide else f"{order}16s16s4x2I4x2II8x")
    if len(content) < form.size:
        raise Damaged("a segment command is too short")
    name, start, size, count = form.unpack_from(content)
    title = _text(name)
    yield Part(start, start + size, f"segment {title}" if title else "segment")
    for number in range(min(count, (len(content) - form.size) // section.size)):
        own, of, length, at, moved, moves, flags = section.unpack_from(
            content, form.size + number * section.size
        )
        if flags & 0xFF not in _ZERO_FILLED:
            yield Part(at, at + length, f"section {_text(of)},{_text(own)}", 2)
        if moved and moves:
            yield Part(moved, moved + 8 * moves, f"relocations of {_text(of)},{_text(own)}", 2)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")
