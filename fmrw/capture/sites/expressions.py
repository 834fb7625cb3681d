"""DWARF expressions: small programs in unwind tables that say where something was saved, as in frames of signals.

Source: DWARF 5, section 2.5. Only what tables of x86-64 use; anything else is refused, and so is a program that does not end.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from fmrw.capture.sites.elf import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable

WORD = (1 << 64) - 1
_MOST_STEPS, _MOST_VALUES = 1000, 64
_FIXED = {0x08: (1, False), 0x09: (1, True), 0x0A: (2, False), 0x0B: (2, True), 0x0C: (4, False), 0x0D: (4, True), 0x0E: (8, False), 0x0F: (8, True), 0x03: (8, False)}  # fmt: skip
_DEREF, _DEREF_SIZE, _DUP, _DROP, _OVER, _PICK, _SWAP, _ROT = 0x06, 0x94, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17
_CONSTU, _CONSTS, _PLUS_CONSTANT, _BRANCH, _SKIP, _NOP = 0x10, 0x11, 0x23, 0x28, 0x2F, 0x96
_LITERAL, _REGISTER, _REGISTER_X = 0x30, 0x70, 0x92


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _compared(test: Callable[[int, int], bool]) -> Callable[[int, int], int]:
    return lambda a, b: int(test(_signed(a), _signed(b)))


_UNARY: dict[int, Callable[[int], int]] = {
    0x19: lambda a: abs(_signed(a)),
    0x1F: operator.neg,
    0x20: operator.invert,
}
_BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: operator.and_,
    0x1B: lambda a, b: int(_signed(a) / _signed(b)),
    0x1C: operator.sub,
    0x1D: operator.mod,
    0x1E: operator.mul,
    0x21: operator.or_,
    0x22: operator.add,
    0x24: lambda a, b: a << min(b, 64),
    0x25: lambda a, b: a >> min(b, 64),
    0x26: lambda a, b: _signed(a) >> min(b, 64),
    0x27: operator.xor,
    0x29: _compared(operator.eq),
    0x2A: _compared(operator.ge),
    0x2B: _compared(operator.gt),
    0x2C: _compared(operator.le),
    0x2D: _compared(operator.lt),
    0x2E: _compared(operator.ne),
}


def uleb(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned LEB128 number; give it and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift > 70:  # noqa: PLR2004 - 64 bits take ten bytes
            raise Damaged("a number without an end")


def sleb(data: bytes, at: int) -> tuple[int, int]:
    """Read a signed LEB128 number; give it and the place behind it."""
    value, end = uleb(data, at)
    bits = 7 * (end - at)
    return (value - (1 << bits) if value >> (bits - 1) & 1 else value), end


def evaluate(
    program: bytes, register: Callable[[int], int], word: Callable[[int], int], first: int | None = None
) -> int:
    """Run an expression; give the value on top at its end.

    Parameters
    ----------
    program
        Its bytes.
    register
        Gives the value of a register.
    word
        Gives the 64-bit word at an address of the program that is looked at.
    first
        A value that lies there at the beginning, as the rules of saved registers have it (the canonical frame address).

    Raises
    ------
    Damaged
        It cannot be run, or does not end.
    """
    try:
        return _Machine(program, register, word, [] if first is None else [first]).run()
    except (IndexError, ZeroDivisionError, OverflowError) as error:
        raise Damaged(f"an expression of unwind tables: {error}") from error


class _Machine:
    """Runs one expression."""

    def __init__(
        self, program: bytes, register: Callable[[int], int], word: Callable[[int], int], values: list[int]
    ) -> None:
        self._program, self._register, self._word, self._values = program, register, word, values

    def run(self) -> int:
        at, steps = 0, 0
        while at < len(self._program):
            steps += 1
            if steps > _MOST_STEPS or len(self._values) > _MOST_VALUES:
                raise Damaged("an expression of unwind tables does not end")
            at = self._step(self._program[at], at + 1)
            if not 0 <= at <= len(self._program):
                raise Damaged("a jump out of an expression")
            if self._values:
                self._values[-1] &= WORD
        return self._values[-1]

    def _step(self, code: int, at: int) -> int:
        """Do one operation; give the place of the next."""
        values, program = self._values, self._program
        if code in _BINARY:
            second, first = values.pop(), values.pop()
            values.append(_BINARY[code](first, second))
        elif code in _UNARY:
            values.append(_UNARY[code](values.pop()))
        elif code in _FIXED:
            size, signed = _FIXED[code]
            values.append(int.from_bytes(program[at : at + size], "little", signed=signed))
            return at + size
        elif _LITERAL <= code < _LITERAL + 32:
            values.append(code - _LITERAL)
        elif _REGISTER <= code < _REGISTER + 32:
            offset, at = sleb(program, at)
            values.append(self._register(code - _REGISTER) + offset)
        else:
            return self._other(code, at)
        return at

    def _other(self, code: int, at: int) -> int:
        values, program = self._values, self._program
        if code == _DEREF:
            values.append(self._word(values.pop()))
        elif code == _DEREF_SIZE:
            size = program[at]
            values.append(self._word(values.pop()) & (1 << 8 * size) - 1)
            at += 1
        elif code == _PLUS_CONSTANT:
            amount, at = uleb(program, at)
            values.append(values.pop() + amount)
        elif code in (_CONSTU, _CONSTS):
            amount, at = (uleb if code == _CONSTU else sleb)(program, at)
            values.append(amount)
        elif code == _REGISTER_X:
            number, at = uleb(program, at)
            offset, at = sleb(program, at)
            values.append(self._register(number) + offset)
        elif code in (_BRANCH, _SKIP):
            target = at + 2 + int.from_bytes(program[at : at + 2], "little", signed=True)
            return target if code == _SKIP or values.pop() else at + 2
        else:
            return self._shuffled(code, at)
        return at

    def _shuffled(self, code: int, at: int) -> int:
        values = self._values
        if code in (_DUP, _OVER):
            values.append(values[-1 if code == _DUP else -2])
        elif code == _DROP:
            values.pop()
        elif code == _PICK:
            values.append(values[-1 - self._program[at]])
            at += 1
        elif code == _SWAP:
            values[-1], values[-2] = values[-2], values[-1]
        elif code == _ROT:
            values[-3:] = [values[-1], values[-3], values[-2]]
        elif code != _NOP:
            raise Damaged(f"an operation 0x{code:x} of expressions that is not known")
        return at
