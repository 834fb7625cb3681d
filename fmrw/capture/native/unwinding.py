"""Unwind tables: what `unwinding.c` needs to know of a file, and the rules that it gives."""

from __future__ import annotations

import ctypes
import itertools
from ctypes import c_int64, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEGMENTS, _NUMBERS = 8, 3 + 2 * 17
_numbers = itertools.count(1)


class _Segment(ctypes.Structure):
    _fields_ = (("offset", c_uint64), ("address", c_uint64), ("size", c_uint64))


class Index(ctypes.Structure):
    """`struct unwind_index`."""

    _fields_ = (
        ("number", c_int64), ("table", c_int64), ("rows", c_int64), ("address", c_uint64), ("segments", c_int64), ("segment", _Segment * _SEGMENTS),
    )  # fmt: skip


class Found(NamedTuple):
    """A rule of the usual kind: a register and a distance give the frame's address; where from there registers of the caller are stored."""

    register: int
    distance: int
    begin: int
    stored: tuple[tuple[int, int], ...]


class Unwinding:
    """Reads unwind tables by the compiled code.

    Parameters
    ----------
    code : PyDLL
    """

    def __init__(self, code: Any) -> None:  # noqa: ANN401 - a library of ctypes
        self._rule = code.fmrw_unwind_rule
        self._rule.argtypes, self._rule.restype = (c_int64, c_void_p, c_uint64, c_void_p), c_int64
        self._told = (c_int64 * _NUMBERS)()
        self._room = ctypes.addressof(self._told)

    @staticmethod
    def index(table: int, rows: int, address: int, segments: Sequence[tuple[int, int, int]]) -> Index | None:
        """Describe the tables of a file; None where they cannot be described.

        Parameters
        ----------
        table, rows
            Where the rows of the index begin in the file, and how many there are.
        address
            Of the index, when the file is linked.
        segments
            Offset, address and size of each loaded part of the file.
        """
        if len(segments) > _SEGMENTS:
            return None
        return Index(
            next(_numbers),
            table,
            rows,
            address,
            len(segments),
            (_Segment * _SEGMENTS)(*(_Segment(*each) for each in segments)),
        )

    def rule(self, fd: int, index: Index, place: int) -> Found | None:
        """Give the rule at an address of a file's code; None where it is of another kind, or there is none."""
        count = self._rule(fd, ctypes.addressof(index), place, self._room)
        if not count:
            return None
        register, distance, begin, *stored = self._told[:count]
        return Found(register, distance, begin, tuple(zip(stored[::2], stored[1::2], strict=True)))
