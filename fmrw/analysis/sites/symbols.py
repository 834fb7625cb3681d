"""Symbols: which function lies at an address, by a file's tables of symbols, its debug file's, and else by the bounds in its unwind tables.

A symbol is taken within its size only: in a stripped program the nearest one before may be another function far away.

Source: System V ABI, gABI chapter 4; debug files by build-id: gdb's manual, "Separate Debug Files".
"""

from __future__ import annotations

import bisect
import os
from pathlib import Path
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.sites import elf
from fmrw.capture.sites.cfi import Pieces, Tables
from fmrw.capture.sites.golang import Functions

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBUG = Path("/usr/lib/debug")
_SECTION = Struct("<IIQQQQIIQQ")
_SYMBOL = Struct("<IBBHQQ")
_TABLES = (2, 11)  # SHT_SYMTAB, SHT_DYNSYM
_FUNCTIONS = (2, 10)  # STT_FUNC, STT_GNU_IFUNC
_LOCAL = 0
_MOST_SECTIONS = 4096
_MOST_SYMBOLS = 4 << 20
_MOST_TEXT = 256 << 20
_LONGEST = 4096
_LOOKED_BACK = 64


class Function(NamedTuple):
    """A function: its name as the tables have it, and its first address; without a name it is called by that."""

    name: str
    begin: int


class Symbols:
    """The functions of one file.

    Parameters
    ----------
    fd : int
        The file; the caller keeps it open.
    debug : int
        Its debug file, or -1.

    Raises
    ------
    Damaged, OSError
        It is no program, or cannot be read.
    """

    def __init__(self, fd: int, debug: int = -1) -> None:
        self.elf = elf.read(fd)
        self.tables = Tables(Pieces(fd), self.elf)
        self._go = Functions(Pieces(fd), elf.go_functions(fd))
        best: dict[int, tuple[tuple[bool, int, int, str], int]] = {}
        for each in (fd, debug) if debug >= 0 else (fd,):
            for rank, begin, size in _functions(each):
                known = best.get(begin)
                if known is None or rank < known[0]:
                    best[begin] = rank, max(size, known[1] if known else 0)
        self._begins = sorted(best)
        self._found = [(best[begin][0][3], begin + best[begin][1]) for begin in self._begins]

    def function(self, address: int) -> Function | None:
        """Give the function at an address; None where nothing tells."""
        number = bisect.bisect_right(self._begins, address)
        for place in range(number - 1, max(-1, number - 1 - _LOOKED_BACK), -1):
            name, end = self._found[place]
            if address < end:
                return Function(name, self._begins[place])
        found = self._go.function(address)
        if found is not None and found[0]:
            return Function(*found)
        bounds = self.tables.description_at(address)
        return None if bounds is None else Function(f"fn@0x{bounds[0] - self.elf.base:x}", bounds[0])


def _functions(fd: int) -> Iterator[tuple[tuple[bool, int, int, str], int, int]]:
    """Give the functions of a file: how good a name is, with the name; first address; bytes. Damage ends them."""
    try:
        yield from _listed(fd)
    except (struct_error, ValueError, OverflowError, OSError):
        return


def _listed(fd: int) -> Iterator[tuple[tuple[bool, int, int, str], int, int]]:
    head = os.pread(fd, 64, 0)
    at, width, count = (
        int.from_bytes(head[40:48], "little"),
        int.from_bytes(head[58:60], "little"),
        int.from_bytes(head[60:62], "little"),
    )
    if width != _SECTION.size or count > _MOST_SECTIONS:
        return
    sections = list(_SECTION.iter_unpack(os.pread(fd, width * count, at)))
    for _name, kind, _flags, _address, offset, size, link, *_rest in sections:
        if kind in _TABLES and link < len(sections):
            text = os.pread(fd, min(sections[link][5], _MOST_TEXT), sections[link][4])
            data = os.pread(fd, min(size, _MOST_SYMBOLS * _SYMBOL.size), offset)
            yield from _of_table(data[: len(data) // _SYMBOL.size * _SYMBOL.size], text)


def _of_table(data: bytes, text: bytes) -> Iterator[tuple[tuple[bool, int, int, str], int, int]]:
    for named, info, _other, section, begin, size in _SYMBOL.iter_unpack(data):
        if info & 0xF in _FUNCTIONS and section and size:
            end = text.find(b"\0", named, named + _LONGEST)
            name = text[named:end].decode("utf-8", "backslashreplace") if end > named else ""
            if name:
                plain = len(name) - len(name.lstrip("_"))
                yield (info >> 4 == _LOCAL, plain, len(name), name), begin, size


def debug_file(build_id: str) -> int:
    """Open the debug file of a build-id where one is installed; -1 where none is."""
    if len(build_id) < 4 or not build_id.isalnum():  # noqa: PLR2004 - a folder's name and a file's
        return -1
    path = DEBUG / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return -1
