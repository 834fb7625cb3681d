"""Programs of Go: their own table of functions, which says for each place how far the stack pointer is from the address to return to.

Go writes no unwind tables for its code, but `.gopclntab`, which its own runtime needs, so it is there in stripped programs, too. Go keeps no registers for
callers: a frame's size is all there is to know. Calls into C and back change stacks, and are not followed.

Source: debug/gosym and runtime/symtab.go of Go 1.18 to 1.25 (magic numbers 0xfffffff0 and 0xfffffff1).
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.sites.elf import Damaged
from fmrw.capture.sites.rules import OFFSET, RETURN, RSP, UNDEFINED, KeptRules, Rule

if TYPE_CHECKING:
    from fmrw.capture.sites.cfi import Pieces

GO = "gopclntab"
_HEADER = Struct("<IHBBQQQQQQQQ")
_ENTRY = Struct("<II")
_FUNCTION = Struct("<IiiIII")
_MAGICS = {0xFFFFFFF0: 37, 0xFFFFFFF1: 41}
"""Magic numbers, and where a function's flags lie."""
_OUTERMOST = 1  # FUNCFLAG_TOPFRAME
_PROGRAM = 512  # bytes of a table of stack sizes that are read at once
_LONGEST_NAME = 512
_MOST_FRAME = 1 << 20


class _Function(NamedTuple):
    begin: int
    name: int
    sizes: int
    outermost: bool


class Functions(KeptRules):
    """The functions of one program.

    Parameters
    ----------
    pieces : Pieces
        The file.
    section : tuple of int
        Offset, address and size of the table (`fmrw.capture.sites.elf.go_functions`).
    """

    def __init__(self, pieces: Pieces, section: tuple[int, int, int]) -> None:
        super().__init__()
        self._file = pieces
        self._count = 0
        offset, _address, size = section
        if size < _HEADER.size:
            return
        try:
            magic, _zero, self._unit, pointer, count, _files, text, names, _units, _sources, sizes, table = _HEADER.unpack(
                pieces.read(offset, _HEADER.size)
            )  # fmt: skip
        except (Damaged, struct_error):
            return
        if magic not in _MAGICS or pointer != 8 or self._unit != 1 or not text:  # noqa: PLR2004 - bytes of a pointer
            return
        self._flags = _MAGICS[magic]
        self._text, self._names, self._sizes, self._table = (
            text,
            offset + names,
            offset + sizes,
            offset + table,
        )
        self._count = min(count, size // _ENTRY.size)

    def function(self, place: int) -> tuple[str, int] | None:
        """Give the name and the first address of the function at an address."""
        try:
            found = self._find(place)
            if found is None:
                return None
            text = self._file.read_most(self._names + found.name, _LONGEST_NAME).partition(b"\0")[0]
        except (Damaged, struct_error):
            return None
        return text.decode("utf-8", "backslashreplace"), found.begin

    def _rule(self, place: int) -> Rule | None:
        found = self._find(place)
        if found is None:
            return None
        if found.outermost:
            return Rule(RSP, 8, b"", {RETURN: (UNDEFINED, 0)}, signal=False, begin=found.begin)
        size = self._size_at(found, place)
        if not 0 <= size <= _MOST_FRAME:
            return None
        return Rule(RSP, size + 8, b"", {RETURN: (OFFSET, -8)}, signal=False, begin=found.begin)

    def _entry(self, number: int) -> tuple[int, int]:
        begin, at = _ENTRY.unpack(self._file.read(self._table + number * _ENTRY.size, _ENTRY.size))
        return self._text + begin, self._table + at

    def _find(self, place: int) -> _Function | None:
        if not self._count or not self._entry(0)[0] <= place < self._entry(self._count)[0]:
            return None
        behind = bisect_right(range(self._count), place, key=lambda number: self._entry(number)[0])
        begin, at = self._entry(behind - 1)
        data = self._file.read(at, self._flags + 1)
        _begin, name, _arguments, _deferred, sizes, _files = _FUNCTION.unpack_from(data)
        return _Function(begin, name, sizes, bool(data[self._flags] & _OUTERMOST))

    def _size_at(self, function: _Function, place: int) -> int:
        """Run a table of pairs: how the value changes, and for how many bytes of code it then holds."""
        data = self._file.read_most(self._sizes + function.sizes, _PROGRAM)
        value, reached, at = -1, function.begin, 0
        while True:
            change, at = _number(data, at)
            if not change and reached != function.begin:
                raise Damaged("a place behind the end of a function")
            value += -(change + 1 >> 1) if change & 1 else change >> 1
            length, at = _number(data, at)
            reached += length
            if place < reached:
                return value


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80 or shift > 28:  # noqa: PLR2004 - numbers of 32 bits
            return value, at
        shift += 7
