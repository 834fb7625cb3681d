"""ELF, by pyelftools: headers, sections and segments.

pyelftools reads each header when asked, so that a file with a broken section table still shows its segments.
Sections without bytes in the file (`.bss`) are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.analysis.structure.parts import Damaged, Part, Source, library

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"\x7fELF"
_IDENTIFICATION = 16


def is_elf(source: Source) -> bool:
    """Say whether the file begins with the magic of ELF."""
    return source.at(0, 4) == _MAGIC


def elf_parts(source: Source) -> Iterator[Part]:
    """Yield the header, both tables, and what they point to."""
    elffile = library("elftools.elf.elffile", "ELF")
    yield Part(0, _IDENTIFICATION, "identification", 2)
    source.file.seek(0)
    elf = elffile.ELFFile(source.file)
    header = elf.header
    yield Part(0, header["e_ehsize"], "ELF header")
    yield from _segments(source, elf)
    yield from _sections(source, elf)


def _segments(source: Source, elf: Any) -> Iterator[Part]:  # noqa: ANN401 - pyelftools is not typed
    start, each = elf.header["e_phoff"], elf.header["e_phentsize"]
    count = _count(source, start, each, elf.num_segments())
    yield Part(start, start + count * each, "program header table")
    for number in range(count):
        header = elf.get_segment(number).header
        end = header["p_offset"] + header["p_filesz"]
        yield Part(header["p_offset"], end, f"segment {number} {_kind(header['p_type'], 'PT_')}")


def _sections(source: Source, elf: Any) -> Iterator[Part]:  # noqa: ANN401 - pyelftools is not typed
    start, each = elf.header["e_shoff"], elf.header["e_shentsize"]
    stated = elf.num_sections()
    count = _count(source, start, each, stated)
    yield Part(start, start + count * each, "section header table")
    for number in range(count):
        section = elf.get_section(number)
        if section.header["sh_type"] not in ("SHT_NOBITS", "SHT_NULL"):
            end = section.header["sh_offset"] + section.header["sh_size"]
            yield Part(section.header["sh_offset"], end, f"section {section.name or number}")
    if count < stated:
        raise Damaged(f"{stated - count} of {stated} section headers lie outside the file")


def _count(source: Source, start: int, each: int, stated: int) -> int:
    """Bound a count that the file states by the room the file has."""
    if not each or not 0 < start < source.size:
        return 0
    return int(min(stated, (source.size - start) // each))


def _kind(value: object, prefix: str) -> str:
    return f"{value:#x}" if isinstance(value, int) else str(value).removeprefix(prefix)
