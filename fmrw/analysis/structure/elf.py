"""ELF (gABI): header, both tables, segments and sections, 32 or 64 bits, either byte order.

Read by its own records: a library that wants a section table, a known machine or a sound string table would lose the rest of a
stripped or packed program. Sections without bytes in the file (`.bss`) are left out.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"\x7fELF"
_IDENTIFICATION = 16
_LONGEST_NAME = 256
_NULL, _NOBITS = 0, 8
_EXTENDED_PHNUM, _EXTENDED_INDEX = 0xFFFF, 0xFFFF
_KINDS = dict(enumerate(("NULL", "LOAD", "DYNAMIC", "INTERP", "NOTE", "SHLIB", "PHDR", "TLS"))) | {
    0x6474E550: "GNU_EH_FRAME",
    0x6474E551: "GNU_STACK",
    0x6474E552: "GNU_RELRO",
    0x6474E553: "GNU_PROPERTY",
    0x6474E554: "GNU_SFRAME",
}


class Form(NamedTuple):
    """How the header and the entries of both tables are laid out; of entries the fields of interest."""

    header: struct.Struct
    segment: struct.Struct  # type, offset, size in the file
    section: struct.Struct  # name, type, offset, size


def _form(order: str, *, wide: bool) -> Form:
    forms = ("16s2HI3QI6H", "I4xQ16xQ", "2I16x2Q16x") if wide else ("16s2HI3II6H", "2I8xI", "2I8x2I")
    return Form(*(struct.Struct(order + form) for form in forms))


def is_elf(source: Source) -> bool:
    """Say whether the file begins with the magic of ELF."""
    return source.at(0, 4) == _MAGIC


def elf_parts(source: Source) -> Iterator[Part]:
    """Yield the header, both tables, and what they point to."""
    yield Part(0, _IDENTIFICATION, "identification", 2)
    bits, order = source.need(4, 2, "the identification")
    if bits not in (1, 2) or order not in (1, 2):
        raise Damaged("neither 32 nor 64 bits, or no byte order")
    form = _form("<" if order == 1 else ">", wide=bits == 2)  # noqa: PLR2004 - ELFCLASS64
    fields = form.header.unpack(source.need(0, form.header.size, "the header"))
    segments, sections, length = fields[5], fields[6], fields[8]
    each_segment, count_segments, each_section, count_sections, names = fields[9:14]
    yield Part(0, max(length, _IDENTIFICATION), "ELF header")
    first = _section(source, form, sections) if sections else None
    if first is not None and first[1] == _NULL:  # counts that do not fit stand in the first section header
        info = source.at(sections + (44 if bits == 2 else 28), 4)  # noqa: PLR2004 - ELFCLASS64
        count_sections = count_sections or first[3]
        if count_segments == _EXTENDED_PHNUM:
            count_segments = int.from_bytes(info, "little" if order == 1 else "big")
        if names == _EXTENDED_INDEX:
            link = source.at(sections + (40 if bits == 2 else 24), 4)  # noqa: PLR2004 - ELFCLASS64
            names = int.from_bytes(link, "little" if order == 1 else "big")
    yield from _segments(source, form, (segments, each_segment, count_segments))
    yield from _sections(source, form, (sections, each_section, count_sections), names)


Table = tuple[int, int, int]
"""Where a table begins, how long an entry is, how many there are."""


def _count(source: Source, table: Table, least: int) -> int:
    """Bound a count that the file states by the room the file has."""
    start, each, stated = table
    if each < least or not 0 < start < source.size:
        return 0
    return min(stated, (source.size - start) // each)


def _segments(source: Source, form: Form, table: Table) -> Iterator[Part]:
    start, each, stated = table
    count = _count(source, table, form.segment.size)
    yield Part(start, start + count * each, "program header table")
    for number in range(count):
        entry = source.at(start + number * each, form.segment.size)
        kind, offset, size = form.segment.unpack(entry)
        yield Part(offset, offset + size, f"segment {number} {_KINDS.get(kind, f'{kind:#x}')}")
    if count < stated and start:
        raise Damaged(f"{stated - count} of {stated} program headers lie outside the file")


def _section(source: Source, form: Form, at: int) -> tuple[int, int, int, int] | None:
    content = source.at(at, form.section.size)
    return form.section.unpack(content) if len(content) == form.section.size else None


def _sections(source: Source, form: Form, table: Table, names: int) -> Iterator[Part]:
    start, each, stated = table
    count = _count(source, table, form.section.size)
    yield Part(start, start + count * each, "section header table")
    strings = _section(source, form, start + names * each) if 0 < names < count else None
    for number in range(count):
        section = _section(source, form, start + number * each)
        if section is None:
            break
        name, kind, offset, size = section
        if kind not in (_NULL, _NOBITS):
            yield Part(offset, offset + size, f"section {_name(source, strings, name) or number}")
    if count < stated:
        raise Damaged(f"{stated - count} of {stated} section headers lie outside the file")


def _name(source: Source, strings: tuple[int, int, int, int] | None, at: int) -> str:
    if strings is None or at >= strings[3]:
        return ""
    content = source.at(strings[2] + at, min(_LONGEST_NAME, strings[3] - at))
    return content.split(b"\0", 1)[0].decode("utf-8", "replace")
