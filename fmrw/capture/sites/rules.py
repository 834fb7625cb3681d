"""Unwinding rules: the program of a frame description, run up to a place in the code.

Source: DWARF 5, section 6.4.2; Linux Standard Base Core 5.0, chapter 10, for what GNU adds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import error as struct_error
from typing import NamedTuple

from fmrw.capture.sites.elf import Damaged
from fmrw.capture.sites.expressions import sleb, uleb

OFFSET, VALUE_OFFSET, EXPRESSION, VALUE_EXPRESSION, REGISTER, UNDEFINED = range(6)
"""How a register of the caller is found: stored at, or equal to, the frame's address plus an offset; stored at, or equal to, what an
expression gives; in another register; nowhere."""
RSP, RBP, RETURN = 7, 6, 16
_MOST_RULES = 1 << 14
_MOST_STEPS = 20_000
_MOST_STATES = 64
_ADVANCE, _OFFSET, _RESTORE = 1, 2, 3  # upper two bits


class Rule(NamedTuple):
    """How the caller's registers are found from a frame's.

    Attributes
    ----------
    register, offset : int
        The frame's address (CFA) is this register plus the offset; register -1: it is what `expression` gives.
    saved : dict of int to (kind, argument)
        By register; what is not named is unchanged.
    signal : bool
        The caller was interrupted: its place is the instruction that comes next, and not one behind a call.
    begin : int
        Address of the function's first instruction.
    """

    register: int
    offset: int
    expression: bytes
    saved: dict[int, tuple[int, int | bytes]]
    signal: bool
    begin: int

    def step(self) -> Step | None:
        """Give it in short, if it is of the usual kind: an address by the stack or frame pointer, all registers stored on the stack."""
        places = {register: offset for register, (kind, offset) in self.saved.items() if kind == OFFSET}
        if (
            self.signal
            or self.register not in (RSP, RBP)
            or RETURN not in places
            or len(places) != len(self.saved)
        ):
            return None
        numbers = {register: int(place) for register, place in places.items() if register != RSP}
        if len(numbers) != len(places):
            return None
        back = numbers.pop(RETURN)
        return Step(self.register, self.offset, back, tuple(numbers.items()))


class Step(NamedTuple):
    """A rule of the usual kind: the frame's address is a register plus an offset, and where from there the caller's registers are stored."""

    register: int
    offset: int
    back: int
    saved: tuple[tuple[int, int], ...]


class KeptRules(ABC):
    """The rules that tables of one file give, each worked out once."""

    def __init__(self) -> None:
        self._rules: dict[int, Rule | None] = {}

    def rule(self, place: int) -> Rule | None:
        """Give the rule at an address of the file's code; None where no table tells, or what it tells cannot be followed."""
        try:
            return self._rules[place]
        except KeyError:
            pass
        try:
            rule = self._rule(place)
        except (Damaged, struct_error, IndexError, OverflowError):
            rule = None
        if len(self._rules) >= _MOST_RULES:
            self._rules.clear()
        self._rules[place] = rule
        return rule

    @abstractmethod
    def _rule(self, place: int) -> Rule | None:
        """Work out the rule at an address."""


class Description(NamedTuple):
    """A frame description (FDE) with what it takes from its common part (CIE)."""

    begin: int
    end: int
    code_factor: int
    data_factor: int
    signal: bool
    common: bytes
    own: bytes
    pointer: int  # encoding of addresses


class Program:
    """Runs the instructions of a description.

    Parameters
    ----------
    description : Description
    place : int
        Address of the code whose rule is wanted.
    """

    def __init__(self, description: Description, place: int) -> None:
        self._description, self._place = description, place
        self._register, self._offset, self._expression = RSP, 8, b""
        self._saved: dict[int, tuple[int, int | bytes]] = {}
        self._initial: dict[int, tuple[int, int | bytes]] = {}
        self._states: list[tuple[int, int, bytes, dict[int, tuple[int, int | bytes]]]] = []
        self._steps = 0

    def rule(self) -> Rule:
        """Give the rule that holds at the place.

        Raises
        ------
        Damaged
            The instructions cannot be followed.
        """
        described = self._description
        try:
            self._run(described.common, described.end)
            self._initial = dict(self._saved)
            self._run(described.own, described.begin)
        except (IndexError, OverflowError) as error:
            raise Damaged(f"instructions of unwind tables are cut short: {error}") from error
        return Rule(
            self._register, self._offset, self._expression, self._saved, described.signal, described.begin
        )

    def _run(self, code: bytes, location: int) -> None:
        at = 0
        while at < len(code):
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise Damaged("instructions of unwind tables do not end")
            byte = code[at]
            kind, low = byte >> 6, byte & 0x3F
            if kind == _OFFSET:
                amount, at = uleb(code, at + 1)
                self._saved[low] = OFFSET, amount * self._description.data_factor
            elif kind == _RESTORE:
                self._restore(low)
                at += 1
            elif kind == _ADVANCE or 1 <= low <= 4:  # noqa: PLR2004 - set_loc, advance_loc1, 2 and 4
                location, at = self._advance(code, at, location)
                if location > self._place:
                    return
            else:
                at = self._step(low, code, at + 1)

    def _advance(self, code: bytes, at: int, location: int) -> tuple[int, int]:
        byte = code[at]
        if byte >> 6 == _ADVANCE:
            return location + (byte & 0x3F) * self._description.code_factor, at + 1
        if byte == 1:
            raise Damaged("a location is set, which no compiler does")
        size = 1 << byte - 2
        amount = int.from_bytes(code[at + 1 : at + 1 + size], "little")
        return location + amount * self._description.code_factor, at + 1 + size

    def _restore(self, register: int) -> None:
        if register in self._initial:
            self._saved[register] = self._initial[register]
        else:
            self._saved.pop(register, None)

    def _step(self, code: int, data: bytes, at: int) -> int:
        """Follow an instruction that does not move on; give the place behind it."""
        if code == 0:
            return at
        if code in _OF_FRAME:
            return self._of_frame(code, data, at)
        if code in _OF_REGISTER:
            return self._of_register(code, data, at)
        if code == 0x0A:  # noqa: PLR2004 - DW_CFA_remember_state
            if len(self._states) >= _MOST_STATES:
                raise Damaged("too many states are remembered")
            self._states.append((self._register, self._offset, self._expression, dict(self._saved)))
        elif code == 0x0B:  # noqa: PLR2004 - DW_CFA_restore_state
            self._register, self._offset, self._expression, self._saved = self._states.pop()
        elif code == 0x2E:  # noqa: PLR2004 - DW_CFA_GNU_args_size
            _size, at = uleb(data, at)
        else:
            raise Damaged(f"an instruction 0x{code:x} of unwind tables that is not known")
        return at

    def _of_frame(self, code: int, data: bytes, at: int) -> int:
        factor = self._description.data_factor
        if code == 0x0F:  # noqa: PLR2004 - DW_CFA_def_cfa_expression
            size, at = uleb(data, at)
            self._register, self._expression = -1, data[at : at + size]
            return at + size
        if code in (0x0C, 0x0D, 0x12):
            self._register, at = uleb(data, at)
        if code in (0x0C, 0x0E):
            self._offset, at = uleb(data, at)
        elif code in (0x12, 0x13):
            amount, at = sleb(data, at)
            self._offset = amount * factor
        return at

    def _of_register(self, code: int, data: bytes, at: int) -> int:
        register, at = uleb(data, at)
        if code == 0x06:  # noqa: PLR2004 - DW_CFA_restore_extended
            self._restore(register)
        elif code == 0x07:  # noqa: PLR2004 - DW_CFA_undefined
            self._saved[register] = UNDEFINED, 0
        elif code == 0x08:  # noqa: PLR2004 - DW_CFA_same_value
            self._saved.pop(register, None)
        elif code in (0x10, 0x16):
            size, at = uleb(data, at)
            self._saved[register] = (EXPRESSION if code == 0x10 else VALUE_EXPRESSION), data[at : at + size]  # noqa: PLR2004
            at += size
        elif code == 0x09:  # noqa: PLR2004 - DW_CFA_register
            other, at = uleb(data, at)
            self._saved[register] = REGISTER, other
        else:
            amount, at = (sleb if code in (0x11, 0x15) else uleb)(data, at)
            amount *= -1 if code == 0x2F else 1  # noqa: PLR2004 - DW_CFA_GNU_negative_offset_extended
            kind = VALUE_OFFSET if code in (0x14, 0x15) else OFFSET
            self._saved[register] = kind, amount * self._description.data_factor
        return at


_OF_FRAME = frozenset((0x0C, 0x0D, 0x0E, 0x0F, 0x12, 0x13))
"""DW_CFA_def_cfa, _register, _offset, _expression, _sf, _offset_sf."""
_OF_REGISTER = frozenset((0x05, 0x06, 0x07, 0x08, 0x09, 0x10, 0x11, 0x14, 0x15, 0x16, 0x2F))
"""DW_CFA_offset_extended, restore_extended, undefined, same_value, register, expression, offset_extended_sf, val_offset, val_offset_sf,
val_expression, GNU_negative_offset_extended."""
