"""ELF files, as far as a stack needs them: segments, where the unwind tables lie, the build-id, the libraries a program is linked to.

Everything is read with `pread` in bounded pieces, never mapped: a file may lie on the very mount that is served, and be cut short at any moment.

Source: System V ABI, gABI chapter 5; Linux Standard Base Core 5.0, chapter 10 (`PT_GNU_EH_FRAME`).
"""

from __future__ import annotations

import contextlib
import os
from struct import Struct
from struct import error as struct_error
from typing import NamedTuple

_SECTION = Struct("<IIQQQQIIQQ")
_HEADER = Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = Struct("<IIQQQQQQ")
_NOTE = Struct("<III")
_ENTRY = Struct("<qQ")
_SYMBOL = Struct("<IBBHQQ")
_FIRST = 4096
"""Bytes from the beginning that are read at once: nearly everywhere they hold the headers and notes."""
_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
X86_64 = 62
_LOAD, _DYNAMIC, _NOTES, _UNWINDING = 1, 2, 4, 0x6474E550
_EXECUTABLE = 1
_BUILD_ID = 3
_NEEDED, _STRINGS = 1, 5
_MOST_SEGMENTS, _MOST_SECTIONS = 128, 4096
_MOST_BYTES = 1 << 16  # of notes, of a dynamic section
_MOST_ID = 64
_MOST_SYMBOLS = 16 << 20  # bytes of a table of dynamic symbols, and of their names
_MOST_NAMES = 1 << 10
_LONGEST_NAME = 256


class Damaged(ValueError):
    """A file that says what cannot be."""


class Segment(NamedTuple):
    """A part of a file that is loaded into memory."""

    offset: int
    address: int
    size: int
    executable: bool


class Elf(NamedTuple):
    """What is used of a file.

    Attributes
    ----------
    segments : tuple of Segment
    unwinding : tuple of int
        Offset, address and size of the unwind tables' index (`.eh_frame_hdr`); zeros where there is none.
    build_id : str
        In hexadecimal digits; empty where there is none.
    frames : tuple of int
        Offset, address and size of the unwind tables (`.eh_frame`) where they have no index; zeros where they have one, or there are none.
    dynamic : tuple of int
        Offset, address and size of what it tells the linker; zeros where it is linked to nothing.
    base : int
        The address that the file's beginning has when it is linked: 0 in nearly all but programs at fixed addresses.
    entry : int
        The address where a program begins.
    """

    segments: tuple[Segment, ...]
    unwinding: tuple[int, int, int]
    build_id: str
    dynamic: tuple[int, int, int]
    frames: tuple[int, int, int]
    base: int
    entry: int

    def address_of(self, offset: int) -> int | None:
        """Give the address that a place in the file has when it is linked."""
        for segment in self.segments:
            if segment.offset <= offset < segment.offset + segment.size:
                return segment.address + offset - segment.offset
        return None

    def offset_of(self, address: int) -> int | None:
        """Give the place in the file of an address."""
        for segment in self.segments:
            if segment.address <= address < segment.address + segment.size:
                return segment.offset + address - segment.address
        return None


def read(fd: int) -> Elf:
    """Read a file's headers.

    Raises
    ------
    Damaged
        It is no ELF file for x86-64, or says what cannot be.
    OSError
        It cannot be read.
    """
    try:
        return _read(fd)
    except (struct_error, OverflowError) as error:
        raise Damaged(str(error)) from error


def _read(fd: int) -> Elf:
    head = os.pread(fd, _FIRST, 0)
    ident, _kind, machine, _version, entry, at, _sections, _flags, _size, width, count, *_rest = (
        _HEADER.unpack_from(head)
    )
    if not ident.startswith(_MAGIC) or machine != X86_64 or width != _SEGMENT.size or count > _MOST_SEGMENTS:
        raise Damaged("no ELF file for x86-64")
    headers = list(_SEGMENT.iter_unpack(_exactly(fd, at, width * count, head)))
    segments = tuple(
        Segment(offset, address, size, bool(flags & _EXECUTABLE))
        for type_, flags, offset, address, _physical, size, _memory, _align in headers
        if type_ == _LOAD
    )
    parts = {type_: (offset, address, size) for type_, _flags, offset, address, _p, size, *_ in headers}
    notes = ((offset, size) for type_, _flags, offset, _address, _p, size, *_ in headers if type_ == _NOTES)
    build_id = next((found for place in notes if (found := _build_id(fd, *place, head))), "")
    unwinding = parts.get(_UNWINDING, (0, 0, 0))
    table = (0, 0, 0) if unwinding[2] else _section(fd, b".eh_frame", head)
    first = min(segments, key=lambda segment: segment.address, default=None)
    base = 0 if first is None else first.address - first.offset & ~0xFFF
    return Elf(
        segments,
        unwinding,
        build_id,
        parts.get(_DYNAMIC, (0, 0, 0)),
        table,
        base,
        entry,
    )


def go_functions(fd: int) -> tuple[int, int, int]:
    """Find the table of functions of a Go program; give its offset, address and size, or zeros where it is none.

    Raises
    ------
    Damaged, OSError
        The file cannot be read.
    """
    try:
        return _section(fd, b".gopclntab", os.pread(fd, _HEADER.size, 0))
    except (struct_error, OverflowError) as error:
        raise Damaged(str(error)) from error


def _section(fd: int, name: bytes, head: bytes) -> tuple[int, int, int]:
    """Find a section by its name; give its offset, address and size, or zeros."""
    *_rest, at, _flags, _size, _width, _count, width, count, names_at = _HEADER.unpack_from(head)
    if width != _SECTION.size or count > _MOST_SECTIONS or names_at >= count:
        return 0, 0, 0
    names_at, wanted = at + width * names_at, name + b"\0"
    _named, _type, _flags, _address, offset, size, *_other = _SECTION.unpack(_exactly(fd, names_at, width))
    names = os.pread(fd, min(size, _MOST_BYTES), offset)
    if wanted not in names:  # the table itself is read by few
        return 0, 0, 0
    for named, _type, _flags, address, offset, size, *_other in _SECTION.iter_unpack(
        _exactly(fd, at, width * count)
    ):
        if names[named : named + len(wanted)] == wanted:
            return offset, address, size
    return 0, 0, 0


def symbols(fd: int, names: tuple[bytes, ...]) -> dict[bytes, tuple[int, int]]:
    """Find dynamic symbols by their names; give their addresses and sizes.

    Raises
    ------
    Damaged, OSError
        The file cannot be read.
    """
    head = os.pread(fd, _HEADER.size, 0)
    table, text = (_section(fd, name, head) for name in (b".dynsym", b".dynstr"))
    strings = os.pread(fd, min(text[2], _MOST_SYMBOLS), text[0])
    data = os.pread(fd, min(table[2], _MOST_SYMBOLS), table[0])
    found = {}
    for named, _info, _other, section, address, size in _SYMBOL.iter_unpack(
        data[: len(data) // _SYMBOL.size * _SYMBOL.size]
    ):
        end = strings.find(b"\0", named, named + _LONGEST_NAME)
        if section and strings[named:end] in names:
            found[strings[named:end]] = address, size
    return found


def _exactly(fd: int, offset: int, size: int, head: bytes = b"") -> bytes:
    """Give bytes of a file, of which the first were read already."""
    data = head[offset : offset + size] if offset + size <= len(head) else os.pread(fd, size, offset)
    if len(data) != size:
        raise Damaged("it is cut short")
    return data


def _build_id(fd: int, offset: int, size: int, head: bytes) -> str:
    size = min(size, _MOST_BYTES)
    data = head[offset : offset + size] if offset + size <= len(head) else os.pread(fd, size, offset)
    place = 0
    while place + _NOTE.size <= len(data):
        named, described, kind = _NOTE.unpack_from(data, place)
        name = data[place + _NOTE.size : place + _NOTE.size + named]
        place += _NOTE.size + (named + 3 & ~3)
        if kind == _BUILD_ID and name == b"GNU\0":
            return data[place : place + min(described, _MOST_ID)].hex()
        place += described + 3 & ~3
    return ""


def libraries(fd: int, elf: Elf) -> frozenset[str]:
    """Give the names of the libraries that a file is linked to; none where it is damaged.

    Raises
    ------
    OSError
        It cannot be read.
    """
    offset, _address, size = elf.dynamic
    data = os.pread(fd, min(size, _MOST_BYTES), offset)
    entries = list(_ENTRY.iter_unpack(data[: len(data) // _ENTRY.size * _ENTRY.size]))
    strings = elf.offset_of(next((value for tag, value in entries if tag == _STRINGS), 0))
    if strings is None:
        return frozenset()
    wanted = [value for tag, value in entries if tag == _NEEDED]
    with contextlib.suppress(OverflowError):
        texts = (
            os.pread(fd, _LONGEST_NAME, strings + value).partition(b"\0")[0] for value in wanted[:_MOST_NAMES]
        )
        return frozenset(text.decode("utf-8", "replace") for text in texts)
    return frozenset()
