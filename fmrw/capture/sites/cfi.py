"""Unwind tables of a file: `.eh_frame`, found by its index `.eh_frame_hdr`; programs that are linked statically have none, so it is made.

The index is sorted by address, so a look at it costs some ten short reads; what was read stays, in pieces, as long as it is used. What it gives
is held against the description itself: a table that lies gives no rule.

Source: Linux Standard Base Core 5.0, chapter 10.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_right
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING

from fmrw.capture.sites.elf import Damaged
from fmrw.capture.sites.expressions import sleb, uleb
from fmrw.capture.sites.rules import OFFSET, Description, KeptRules, Program, Rule

if TYPE_CHECKING:
    from fmrw.capture.native.unwinding import Index, Unwinding
    from fmrw.capture.sites.elf import Elf

_PIECE = 1 << 14
_MOST_PIECES = 64
_MOST_DESCRIPTION = 1 << 16
_MOST_TABLES, _MOST_ROWS = 32 << 20, 1 << 18
_HEAD = 4  # bytes of a length
_INDEX = Struct("<BBBB")
_ROW = Struct("<ii")
_SORTED = 0x3B  # signed, 4 bytes, relative to the index
_ABSENT, _INDIRECT = 0xFF, 0x80
_SIZES = {0x0: (8, False), 0x2: (2, False), 0x3: (4, False), 0x4: (8, False), 0xA: (2, True), 0xB: (4, True), 0xC: (8, True)}  # fmt: skip
_ULEB, _SLEB = 0x1, 0x9


class Pieces:
    """A file read in pieces that are kept.

    Parameters
    ----------
    fd : int
        The file; the caller keeps it open.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._pieces: dict[int, bytes] = {}

    def read(self, offset: int, size: int) -> bytes:
        """Give bytes of the file.

        Raises
        ------
        Damaged
            They are not there.
        """
        if offset < 0 or size > _MOST_DESCRIPTION:
            raise Damaged("a place that no file has")
        number, within = divmod(offset, _PIECE)
        data = self._piece(number)
        if within + size > _PIECE:
            data = b"".join(
                [data, *(self._piece(number + n) for n in range(1, (within + size) // _PIECE + 1))]
            )
        found = data[within : within + size]
        if len(found) != size:
            raise Damaged("it is cut short")
        return found

    def read_most(self, offset: int, size: int) -> bytes:
        """Give bytes of the file, fewer where it ends.

        Raises
        ------
        Damaged
            There are none.
        """
        number, within = divmod(offset, _PIECE)
        if offset < 0 or size > _PIECE:
            raise Damaged("a place that no file has")
        data = self._piece(number)[within : within + size]
        return data if len(data) == size else data + self._piece(number + 1)[: size - len(data)]

    def _piece(self, number: int) -> bytes:
        piece = self._pieces.get(number)
        if piece is None:
            while len(self._pieces) >= _MOST_PIECES:
                self._pieces.pop(next(iter(self._pieces)), None)
            try:
                piece = self._pieces[number] = os.pread(self.fd, _PIECE, number * _PIECE)
            except (OSError, OverflowError) as error:
                raise Damaged(str(error)) from error
        return piece


class Tables(KeptRules):
    """The rules of one file.

    Parameters
    ----------
    pieces : Pieces
        The file.
    elf : Elf
        Its headers.
    native : Unwinding or None
        The compiled code, which gives rules of the usual kind.
    """

    def __init__(self, pieces: Pieces, elf: Elf, native: Unwinding | None = None) -> None:
        super().__init__()
        self._file, self._elf, self._native = pieces, elf, native
        self.compiled: Index | None = None
        self._commons: dict[int, Description] = {}
        self._index = self._rows = 0
        self._made: list[tuple[int, int]] = []
        try:
            if elf.unwinding[2]:
                self._open_index()
            else:
                self._make_index()
        except (Damaged, struct_error, IndexError):
            self._rows = 0

    def _make_index(self) -> None:
        """Go through the tables once, as far as they can be followed."""
        _offset, at, size = self._elf.frames
        end = at + min(size, _MOST_TABLES)
        with contextlib.suppress(Damaged, struct_error, IndexError, OverflowError):
            while at < end and len(self._made) < _MOST_ROWS:
                data, begin, _place = self._entry(at)
                back = int.from_bytes(data[:4], "little")
                if back:
                    self._made.append((self._begin(data, begin, back), at))
                at = begin + len(data)
        self._made.sort()
        self._rows = len(self._made)

    def _begin(self, data: bytes, at: int, back: int) -> int:
        """Give the address that a description begins at; common parts are read once."""
        common = self._commons.get(at - back)
        if common is None:
            common = self._commons[at - back] = self._common(at - back)
        return _pointer(data, 4, common.pointer, at)[0]

    def _open_index(self) -> None:
        offset, self._index, size = self._elf.unwinding
        if not size:
            return
        version, pointer, counted, kind = _INDEX.unpack(self._file.read(offset, 4))
        if version != 1 or kind != _SORTED:
            raise Damaged("an index of another kind")
        head = self._file.read(offset, min(size, 32))
        _first, at = _pointer(head, 4, pointer, self._index)
        count, at = _pointer(head, at, counted, self._index)
        self._table = offset + at
        self._rows = min(count, (size - at) // _ROW.size)
        if self._native is not None and self._rows > 0:
            segments = [(each.offset, each.address, each.size) for each in self._elf.segments]
            self.compiled = self._native.index(self._table, self._rows, self._index, segments)

    def _rule(self, place: int) -> Rule | None:
        if self._native is not None and self.compiled is not None:
            found = self._native.rule(self._file.fd, self.compiled, place)
            if found is not None:
                saved: dict[int, tuple[int, int | bytes]] = {
                    register: (OFFSET, at) for register, at in found.stored
                }
                return Rule(found.register, found.distance, b"", saved, signal=False, begin=found.begin)
        described = self.description(place)
        return None if described is None else Program(described, place).rule()

    def description_at(self, place: int) -> tuple[int, int] | None:
        """Give the bounds of the function at an address, as the tables have it; None where they do not tell."""
        try:
            described = self.description(place)
        except (Damaged, struct_error, IndexError, OverflowError):
            return None
        return None if described is None else (described.begin, described.end)

    def description(self, place: int) -> Description | None:
        """Find the frame description that covers an address; None where there is none.

        Raises
        ------
        Damaged
            The tables cannot be followed.
        """
        behind = bisect_right(range(self._rows), place, key=lambda number: self._row(number)[0])
        if not behind:
            return None
        described = self._described(self._row(behind - 1)[1])
        return described if described.begin <= place < described.end else None

    def _row(self, number: int) -> tuple[int, int]:
        if self._made:
            return self._made[number]
        begin, description = _ROW.unpack(self._file.read(self._table + number * _ROW.size, _ROW.size))
        return self._index + begin, self._index + description

    def _entry(self, address: int) -> tuple[bytes, int, int]:
        """Give an entry's content, its address, and the place in the file where it begins."""
        offset = self._elf.offset_of(address)
        if offset is None:
            raise Damaged("tables outside of the file")
        size = int.from_bytes(self._file.read(offset, 4), "little")
        if (
            not _HEAD <= size <= _MOST_DESCRIPTION - _HEAD
        ):  # longer ones have another form, which no compiler writes here
            raise Damaged("an entry of a length that cannot be")
        return self._file.read(offset + 4, size), address + 4, offset + 4

    def _described(self, address: int) -> Description:
        data, at, _offset = self._entry(address)
        back = int.from_bytes(data[:4], "little")
        if not back:
            raise Damaged("a common part where a description was expected")
        common = self._common(at - back)
        begin, place = _pointer(data, 4, common.pointer, at)
        size, place = _pointer(data, place, common.pointer & 0x0F, 0)
        if common.end:  # it has augmentation data
            length, place = uleb(data, place)
            place += length
        return common._replace(begin=begin, end=begin + size, own=data[place:])

    def _common(self, address: int) -> Description:
        data, at, _offset = self._entry(address)
        if data[:4] != b"\0\0\0\0":
            raise Damaged("a description where a common part was expected")
        ending = data.index(0, 5) if 0 in data[5:] else len(data)
        letters, place = data[5:ending], ending + 1
        code, place = uleb(data, place)
        raw, place = sleb(data, place)
        place = place + 1 if data[4] == 1 else uleb(data, place)[1]
        pointer, signal, begin = 0, b"S" in letters, place
        if letters[:1] == b"z":
            length, place = uleb(data, place)
            begin, pointer = place + length, self._pointers(letters, data, place, at)
        elif letters:
            raise Damaged("an augmentation that is not known")
        return Description(0, letters[:1] == b"z", code, raw, signal, data[begin:], b"", pointer)

    @staticmethod
    def _pointers(letters: bytes, data: bytes, place: int, at: int) -> int:
        """Give the encoding of addresses, which the augmentation tells."""
        pointer = 0
        for letter in letters[1:]:
            if letter == ord("R"):
                pointer, place = data[place], place + 1
            elif letter == ord("L"):
                place += 1
            elif letter == ord("P"):
                _routine, place = _pointer(data, place + 1, data[place] & ~_INDIRECT, at)
            elif letter not in b"SB":
                raise Damaged("an augmentation that is not known")
        return pointer


def _pointer(data: bytes, at: int, encoding: int, address: int) -> tuple[int, int]:
    """Read an encoded address (DW_EH_PE_*); `address` is that of `data`, or what it is relative to."""
    if encoding == _ABSENT:
        return 0, at
    form, relative = encoding & 0x0F, encoding & 0x70
    if form in (_ULEB, _SLEB):
        value, end = (uleb if form == _ULEB else sleb)(data, at)
    else:
        if form not in _SIZES:
            raise Damaged("an address of a form that is not known")
        size, signed = _SIZES[form]
        end = at + size
        value = int.from_bytes(data[at:end], "little", signed=signed)
    if relative == 0x10:  # noqa: PLR2004 - DW_EH_PE_pcrel
        value += address + at
    elif relative == 0x30:  # noqa: PLR2004 - DW_EH_PE_datarel
        value += address
    elif relative and relative != 0x50:  # noqa: PLR2004 - DW_EH_PE_aligned
        raise Damaged("an address relative to what is not known")
    return value & (1 << 64) - 1, end
