"""Thrift's compact protocol, as far as Parquet's footers and page headers need it, read from bytes that may lie.

A structure becomes a dict of field number → value. Nothing is believed that the bytes themselves do not show: every list
element and every string takes at least a byte of what is there, nesting and numbers of values end, and whatever does not fit is a
ValueError. So reading costs memory in proportion to the bytes, whatever they claim. Source: thrift-compact-protocol.md of Apache Thrift.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Struct: TypeAlias = "dict[int, Any]"
_DEEPEST = 12
_MOST_VALUES = 4_000_000  # forty for each column of each group: two thousand million events of ours
_LONGEST_VARINT = 10
_MORE = 128  # the bit of a byte that says there is more
_SHIFTS = range(0, 7 * _LONGEST_VARINT, 7)
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_LONG_LIST = 15


class Reader:
    """Read structures one after the other; `place` is where the next begins."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self._data = data
        self.place = place
        self._left = _MOST_VALUES

    def struct(self, depth: int = 0) -> Struct:
        """Read a structure.

        Raises
        ------
        ValueError
            The bytes are none.
        """
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        found: Struct = {}
        data, last, field = self._data, len(self._data) - 1, 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            kind, place = head & 15, self.place
            if kind in _INTEGERS and place < last and self._left > 0 and (byte := data[place]) < _MORE:
                found[field] = (byte >> 1) ^ -(byte & 1)  # most values are small numbers: no calls for these
                self.place, self._left = place + 1, self._left - 1
            else:
                found[field] = self._value(kind, depth, field=True)
        return found

    def _value(self, kind: int, depth: int, *, field: bool = False) -> Any:  # noqa: ANN401 - what is there
        self._left -= 1
        if self._left < 0:
            raise ValueError("too many values")
        if kind in _INTEGERS:
            return self._zigzag()
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE if field else self._byte() == _TRUE
        if kind in (_STRUCT, _LIST, _SET):
            return self.struct(depth + 1) if kind == _STRUCT else self._list(depth + 1)
        return self._bytes(kind)

    def _bytes(self, kind: int) -> int | bytes:
        if kind == _BYTE:
            return self._byte()
        if kind not in (_BINARY, _DOUBLE):
            raise ValueError(f"a value of kind {kind}")  # maps do not occur in Parquet
        return self._take(8 if kind == _DOUBLE else self._varint())

    def _list(self, depth: int) -> list[Any]:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        head = self._byte()
        count = self._varint() if head >> 4 == _LONG_LIST else head >> 4
        if count > len(self._data) - self.place:
            raise ValueError(f"a list of {count} elements")
        return [self._value(head & 15, depth) for _ in range(count)]

    def _byte(self) -> int:
        place = self.place
        if place >= len(self._data):
            raise ValueError("cut short")
        self.place = place + 1
        return self._data[place]

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.place:
            raise ValueError(f"{count} bytes of text")
        self.place += count
        return self._data[self.place - count : self.place]

    def _varint(self) -> int:
        data, place, value = self._data, self.place, 0
        for shift, byte in zip(_SHIFTS, data[place : place + _LONGEST_VARINT], strict=False):
            place += 1
            value |= (byte & 127) << shift
            if byte < _MORE:
                self.place = place
                return value
        raise ValueError("a number without end" if place < len(data) else "cut short")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
