"""Unwinding: from the place where a thread waits to those that called it, frame by frame.

Of a thread that waits in a system call the kernel tells the stack pointer and the place in the code, and no other register. Those that a function
must keep for its caller are found where some frame has stored them: what is carried from frame to frame are the *addresses* of these words,
which are read when a frame above needs the value. Where no frame has stored one, or no table tells how to go on, `fmrw.capture.sites.scan`
looks for a likely caller, and its frame is marked as a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.sites import scan
from fmrw.capture.sites.elf import Damaged
from fmrw.capture.sites.expressions import WORD, evaluate
from fmrw.capture.sites.frames import CFI, SCAN, Frame, Met
from fmrw.capture.sites.golang import GO
from fmrw.capture.sites.rules import (
    EXPRESSION,
    OFFSET,
    REGISTER,
    RETURN,
    RSP,
    UNDEFINED,
    VALUE_OFFSET,
    Rule,
    Step,
)
from fmrw.capture.sites.stack import Stack, Unreadable

if TYPE_CHECKING:
    from fmrw.capture.sites.space import Space

MOST_FRAMES = 64
_MOST_PLACES = 1 << 14
_ENTRY = 64  # bytes of code at a program's entry


class Registers:
    """What is known of a frame's registers: values, or where they are stored."""

    __slots__ = ("stack", "stored", "values")

    def __init__(self, stack: Stack, values: dict[int, int], stored: dict[int, int]) -> None:
        self.stack, self.values, self.stored = stack, values, stored

    def value(self, register: int) -> int:
        """Give a register's value.

        Raises
        ------
        Unreadable
            It is not known.
        """
        value = self.values.get(register)
        if value is None:
            address = self.stored.get(register)
            if address is None:
                raise Unreadable("a register that is not known")
            value = self.stack.word(address)
        return value

    def step(self, step: Step) -> bool:
        """Become the caller's, by a rule of the usual kind; False, and nothing is changed, where that cannot be done."""
        register, offset, back, saved = step
        values, stored = self.values, self.stored
        top = values[RSP]
        try:
            cfa = (top if register == RSP else self.value(register)) + offset
            if cfa <= top:  # a stack grows in one direction
                return False
            pc = self.stack.word(cfa + back)
        except Unreadable:
            return False
        for number, place in saved:
            stored[number] = cfa + place
            values.pop(number, None)
        values[RSP], values[RETURN] = cfa, pc
        return True


class Walk(NamedTuple):
    """A stack that was walked: its frames, the innermost first, at least one; what was looked at; whether its end was reached."""

    frames: list[Frame]
    stack: Stack
    whole: bool


def unwind(space: Space, top: int, pc: int, skipped: tuple[int, int] = (0, 0)) -> Walk:
    """Walk a stack.

    Parameters
    ----------
    space : Space
        Of the thread's process.
    top, pc : int
        Its stack pointer, and the place where it goes on.
    skipped : tuple of int
        Address and size of the buffer it waits for.

    """
    stack = Stack(space, top, skipped)
    frames: list[Frame] = []
    registers = Registers(stack, {RSP: top, RETURN: pc}, {})
    quality, exact = CFI, True
    while len(frames) < MOST_FRAMES:
        frame, rule, step = space.places.get(pc << 1 | exact) or _met(space, pc, exact=exact)
        frames.append(frame if quality == CFI else frame._replace(quality=quality))
        if step is not None and registers.step(step):
            quality, exact = CFI, False
        else:
            try:
                found = _caller(registers, rule) if rule is not None else None
            except (Unreadable, Damaged):
                found = None
            ended, quality = rule is not None and _ends(rule), CFI
            if found is None and not ended and _begins_here(frame):
                return Walk(frames, stack, whole=True)
            if found is None and not ended:
                found, quality = _guessed(registers, frame, rule), SCAN
            if found is None:
                return Walk(frames, stack, ended)
            exact = rule is not None and rule.signal
            registers = found
        pc = registers.values[RETURN]
        if not pc:
            return Walk(frames, stack, whole=True)
    return Walk(frames, stack, whole=True)


def _met(space: Space, pc: int, *, exact: bool) -> Met:
    """Look up what lies at a place in the code, and keep it."""
    frame = _frame(space, pc, CFI, exact=exact)
    rule = rule_of(frame)
    if rule is not None and frame.code is not None and _is_go(frame):
        frame = frame._replace(quality=GO)
    found = Met(frame, rule, None if rule is None else rule.step())
    if frame.code is None and not space.listed:  # nobody tells when a file is mapped there
        return found
    if len(space.places) >= _MOST_PLACES:
        space.places.clear()
    space.places[pc << 1 | exact] = found
    return found


def _begins_here(frame: Frame) -> bool:
    """Tell whether a program begins with a frame's function: nobody has called it, though no table says so."""
    found = frame.code.module.elf if frame.code is not None else None
    return found is not None and found.entry <= frame.place < found.entry + _ENTRY


def _is_go(frame: Frame) -> bool:
    """Tell whether only a table of Go tells of a frame."""
    module = frame.code.module if frame.code is not None else None
    place = frame.place if frame.exact else frame.place - 1
    return bool(module and module.tables and module.tables.rule(place) is None and module.go)


def _frame(space: Space, pc: int, quality: str, *, exact: bool) -> Frame:
    code = space.code(pc)
    return Frame(code, pc if code is None else pc + code.shift, quality, exact)


def rule_of(frame: Frame) -> Rule | None:
    """Give the rule at a frame; None where no table tells."""
    code = frame.code
    if code is None or code.module.tables is None:
        return None
    place = frame.place if frame.exact else frame.place - 1
    rule = code.module.tables.rule(place)
    return code.module.go.rule(place) if rule is None and code.module.go is not None else rule


def _ends(rule: Rule) -> bool:
    """Tell whether nobody has called this frame: it says that there is no address to return to."""
    return rule.saved.get(RETURN, (OFFSET, 0))[0] == UNDEFINED


def _caller(registers: Registers, rule: Rule) -> Registers | None:
    """Give the caller's registers; None where there is no caller."""
    if _ends(rule):
        return None
    if rule.register >= 0:
        cfa = registers.value(rule.register) + rule.offset & WORD
    else:
        cfa = evaluate(rule.expression, registers.value, registers.stack.word)
    if cfa <= registers.values[RSP] and not rule.signal:  # a stack grows in one direction
        raise Unreadable("a stack that goes back")
    return callers(registers, rule, cfa)


def callers(registers: Registers, rule: Rule, cfa: int) -> Registers:
    """Give the caller's registers, where the frame's address (CFA) is known.

    Raises
    ------
    Unreadable, Damaged
        They cannot be found.
    """
    values, stored = dict(registers.values), dict(registers.stored)
    values[RSP] = cfa
    for register, (kind, argument) in rule.saved.items():
        values.pop(register, None)
        stored.pop(register, None)
        if kind == OFFSET:
            stored[register] = cfa + int(argument) & WORD
        elif kind == VALUE_OFFSET:
            values[register] = cfa + int(argument) & WORD
        elif kind == REGISTER:
            values[register] = registers.value(int(argument))
        elif kind != UNDEFINED and isinstance(argument, bytes):
            found = evaluate(argument, registers.value, registers.stack.word, cfa)
            (stored if kind == EXPRESSION else values)[register] = found
    result = Registers(registers.stack, values, stored)
    if RETURN in rule.saved:
        values[RETURN] = result.value(RETURN)
    if RSP in rule.saved:
        values[RSP] = result.value(RSP)
    return result


def _guessed(registers: Registers, frame: Frame, rule: Rule | None) -> Registers | None:
    """Look for the likeliest caller above on the stack; None where there is none."""
    try:
        slot = scan.find(registers.stack, registers.values[RSP], frame, rule, _reaches_an_end)
    except Unreadable:
        return None
    if slot is None:
        return None
    if rule is not None:
        try:
            return callers(registers, rule, slot + 8)
        except (Unreadable, Damaged):
            pass
    registers.stack.word(slot)
    return Registers(registers.stack, {RSP: slot + 8, RETURN: registers.stack.word(slot)}, {})


def _reaches_an_end(stack: Stack, slot: int) -> bool:
    """Tell whether the tables lead from a likely return address to the beginning of the thread."""
    registers = Registers(stack, {RSP: slot + 8, RETURN: stack.glance(slot)}, {})
    for _frame_number in range(MOST_FRAMES):
        rule = rule_of(_frame(stack.space, registers.values[RETURN], CFI, exact=False))
        if rule is None:
            return False
        try:
            found = _caller(registers, rule)
        except (Unreadable, Damaged):
            return False
        if found is None:
            return True
        registers = found
    return False
