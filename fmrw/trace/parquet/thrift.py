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
_LAST_FIELD = (1 << 15) - 1  # fields have numbers of 16 bits
_LONGEST_VARINT = 10
_MORE = 128  # the bit of a byte that says there is more
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_LONG_LIST = 15


class Reader:
    """Read structures one after the other; `place` is where the next begins.

    The footer of a hundred million events has 130,000 values. So numbers are read in the loop over the fields and `place` is a local
    name there: with a call for each byte it took more than twice as long.
    """

    def __init__(self, data: bytes, place: int = 0) -> None:
        self._data = data
        self.place = place
        self._left = _MOST_VALUES

    def struct(self) -> Struct:
        """Read a structure.

        Raises
        ------
        ValueError
            The bytes are none.
        """
        try:
            return self._struct(0)
        except IndexError:
            raise ValueError("cut short") from None

    def _struct(self, depth: int) -> Struct:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        found: Struct = {}
        data, place, field = self._data, self.place, 0
        while head := data[place]:
            field, place = (field + (head >> 4), place + 1) if head >> 4 else self._field(place + 1)
            if field > _LAST_FIELD:
                raise ValueError(f"a field of number {field}")
            kind = head & 15
            if kind in _INTEGERS:
                value, shift = data[place], 7
                place += 1
                if value >= _MORE:
                    value &= 127
                    while (byte := data[place]) >= _MORE:
                        value |= (byte & 127) << shift
                        shift, place = shift + 7, place + 1
                        if shift == 7 * _LONGEST_VARINT:
                            raise ValueError("a number without end")
                    value, place = value | byte << shift, place + 1
                found[field] = (value >> 1) ^ -(value & 1)
            else:
                self.place = place
                found[field] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
                place = self.place
        self.place = place + 1
        self._count(len(found))
        return found

    def _field(self, place: int) -> tuple[int, int]:
        """Read the number of a field that is far from the one before; tell where it ends."""
        self.place = place
        field = self._zigzag()
        if field <= 0:
            raise ValueError(f"a field of number {field}")
        return field, self.place

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ValueError("too many values")

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401 - what is there
        if kind == _STRUCT:
            return self._struct(depth + 1)
        if kind == _BINARY:
            return self._take(self._varint())
        if kind in _INTEGERS:
            return self._zigzag()
        if kind in (_LIST, _SET):
            return self._list(depth + 1)
        if kind in (_TRUE, _FALSE):
            return self._byte() == _TRUE
        if kind not in (_BYTE, _DOUBLE):
            raise ValueError(f"a value of kind {kind}")  # maps do not occur in Parquet
        return self._byte() if kind == _BYTE else self._take(8)

    def _list(self, depth: int) -> list[Any]:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        head = self._byte()
        count = self._varint() if head >> 4 == _LONG_LIST else head >> 4
        if count > len(self._data) - self.place:
            raise ValueError(f"a list of {count} elements")
        self._count(count)
        return [self._value(head & 15, depth) for _ in range(count)]

    def _byte(self) -> int:
        byte = self._data[self.place]
        self.place += 1
        return byte

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.place:
            raise ValueError(f"{count} bytes of text")
        self.place += count
        return self._data[self.place - count : self.place]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 7 * _LONGEST_VARINT, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < _MORE:
                return value
        raise ValueError("a number without end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
