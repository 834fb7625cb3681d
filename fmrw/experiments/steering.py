"""Steering: what a field is, by how the program's accesses move with its value.

A byte that steers moves the first access that differs by a constant times its own change. Neighbours whose constants are in the ratio
of 256 are one number: rising it is little-endian, falling big-endian. No knowledge of a format is needed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmrw.experiments.signature import Difference, Effect

_LEAST = 3  # values that must agree
_WIDEST = 8
_WIDTHS = (2, 4, 8)
_WORDS = {"moved": "offset", "grown": "length", "more": "number"}


class Move(NamedTuple):
    """How one byte moves accesses: `amount` bytes (or accesses) per one of its value."""

    quantity: str
    access: int
    amount: int


class Field(NamedTuple):
    """A number that steers accesses.

    Attributes
    ----------
    start, end : int
        Its bytes.
    kind : {"offset", "length", "count"}
        Of what it is.
    access : int
        Number of the first access that it moves, from 0.
    byteorder : {"little", "big", None}
        None for a single byte.
    scale : int
        Bytes (or accesses) per one of its value.
    """

    start: int
    end: int
    kind: str
    access: int
    byteorder: str | None
    scale: int

    @property
    def sentence(self) -> str:
        """What it steers, in words."""
        order = f", {self.byteorder}-endian" if self.byteorder else ","
        what = f"the {self.kind} of access {self.access}" if self.access >= 0 else "the number of accesses"
        return f"steers {what}{order} \u00d7{self.scale}"


def move_of(present: int, tried: Mapping[int, Effect]) -> Move | None:
    """Find how a byte moves accesses; None where three values do not agree."""
    differences = [
        (value - present, effect.difference)
        for value, effect in tried.items()
        if "accesses" in effect.channels and effect.difference is not None
    ]
    found = [move for change, difference in differences for move in _moves(change, difference)]
    for move, count in Counter(found).most_common():
        if count >= _LEAST:
            return move
    return None


def _moves(change: int, difference: Difference) -> list[Move]:
    amounts = {"grown": difference.grown, "moved": difference.moved}
    moving = {name: amount for name, amount in amounts.items() if amount}
    if len(moving) != 1:  # none, or another access altogether
        moving = {"more": difference.more} if difference.more else {}
    return [
        Move(name, -1 if name == "more" else difference.access, amount // change)
        for name, amount in moving.items()
        if amount % change == 0
    ]


def fields(moves: Mapping[int, Move], matter: Mapping[int, int]) -> list[Field]:
    """Put bytes together to numbers.

    Parameters
    ----------
    moves : mapping
        Byte → how it moves accesses.
    matter : mapping
        All bytes that matter → their present value: those above a number that are zero belong to it.
    """
    found = []
    at = -1
    for byte in sorted(moves):
        if byte < at:
            continue
        one = max((_grown(byte, step, moves) for step in ("little", "big")), key=lambda run: run[1] - run[0])
        field = _named(*one, moves)
        found.append(_widened(field, moves, matter))
        at = found[-1].end
    return found


def _grown(byte: int, order: str, moves: Mapping[int, Move]) -> tuple[int, int, str]:
    end = byte + 1
    while end in moves and end - byte < _WIDEST and _follows(moves[end - 1], moves[end], order):
        end += 1
    return byte, end, order


def _follows(one: Move, other: Move, order: str) -> bool:
    if one[:2] != other[:2]:
        return False
    return other.amount == one.amount * 256 if order == "little" else one.amount == other.amount * 256


def _named(start: int, end: int, order: str, moves: Mapping[int, Move]) -> Field:
    low = moves[start if order == "little" else end - 1]
    kind = "count" if low.quantity == "more" else _WORDS[low.quantity]
    return Field(start, end, kind, low.access, order if end - start > 1 else None, low.amount)


def _widened(field: Field, moves: Mapping[int, Move], matter: Mapping[int, int]) -> Field:
    """Take in the upper bytes that are zero, and matter, but send the program too far to tell by how much."""

    def upper(byte: int) -> bool:
        return byte not in moves and matter.get(byte) == 0

    size = field.end - field.start
    wide = [width for width in _WIDTHS if width > size]
    orders = [field.byteorder] if field.byteorder else ["little", "big"]
    for width in reversed(wide):
        for order in orders:
            more = (
                range(field.end, field.start + width)
                if order == "little"
                else range(field.end - width, field.start)
            )
            if all(upper(byte) for byte in more):
                scale = field.scale
                start, end = (
                    (field.start, field.start + width)
                    if order == "little"
                    else (field.end - width, field.end)
                )
                return Field(start, end, field.kind, field.access, order, scale)
    return field


def described(found: Sequence[Field], byte: int) -> Field | None:
    """Give the field a byte belongs to."""
    return next((field for field in found if field.start <= byte < field.end), None)
