"""Guessing a caller: words on the stack that may be addresses to return to.

Such a word points behind a call instruction, which is read from the file, never from the process. How likely it is, depends on what is called
there: the very function whose caller is sought, or one that jumps to it at its end; whatever a register or a table names; or something else.
First comes the word at the distance that the function's first instructions tell, by what they take off the stack pointer. Of the others the
likeliest is taken from which the tables lead to the beginning of the thread.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.sites.elf import Damaged
from fmrw.capture.sites.rules import RETURN, Rule
from fmrw.capture.sites.stack import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.capture.sites.frames import Frame
    from fmrw.capture.sites.modules import Module
    from fmrw.capture.sites.stack import Stack

_MOST_WORDS = 4096
_MOST_TRIED = 12
_CHECKED = 256
_LONGEST = 7
_DIRECT, _DIRECT_SIZE = 0xE8, 5
_CALLED, _UNKNOWN, _ELSEWHERE, _NO_CALL = range(4)
_PROLOGUE = 96  # bytes
_MOST_FUNCTION = 1 << 14
_TAKEN = re.compile(rb"\x48\x83\xec(.)|\x48\x81\xec(....)", re.DOTALL)
"""sub $N, %rsp"""
_JUMP = re.compile(rb"\xe9|\x0f[\x80-\x8f]")
"""jmp and its conditional forms, with a distance of four bytes"""
_STUB = re.compile(rb"(?:\xf3\x0f\x1e\xfa)?(?:\xf2)?\xff\x25")
"""jmp through a table: what a procedure linkage begins with"""


class _Sought(NamedTuple):
    """The function whose caller is sought."""

    module: Module | None
    begin: int | None


def find(
    stack: Stack, top: int, frame: Frame, rule: Rule | None, leads: Callable[[Stack, int], bool]
) -> int | None:
    """Find where on a stack the address lies that a frame returns to.

    Parameters
    ----------
    stack : Stack
    top : int
        The frame's stack pointer.
    frame : Frame
        Whose caller is sought.
    rule : Rule or None
        What the tables tell of it.
    leads : callable
        Tells whether the tables lead from such a place to the beginning of the thread.

    Returns
    -------
    int or None
        Its address.
    """
    sought = _Sought(frame.code.module if frame.code else None, rule.begin if rule else None)
    expected = _expected(stack, top, sought, rule)
    if expected is not None:
        return expected
    found: list[tuple[int, int]] = []
    stack.space.know_all()
    for number in range(_MOST_WORDS):
        address = top + number * 8
        if not number % _CHECKED:
            stack.check_time()
        if stack.skipped[0] <= address < sum(stack.skipped):
            continue
        try:
            rank = _rank(stack, address, sought)
        except Unreadable:
            break
        if rank < _NO_CALL:
            found.append((rank, address))
            if len(found) >= _MOST_TRIED or rank == _CALLED:
                break
    found.sort()
    likely = (address for _likely, address in found if leads(stack, address))
    return next(likely, found[0][1] if found else None)


def _expected(stack: Stack, top: int, sought: _Sought, rule: Rule | None) -> int | None:
    """Give the place that the first instructions of the function tell, if an address to return to lies there."""
    if sought.module is None or rule is None or sought.begin is None:
        return None
    taken = _TAKEN.search(_bytes(sought.module, sought.begin, _PROLOGUE))
    room = int.from_bytes(taken[1] or taken[2], "little", signed=True) if taken else 0
    address = top + room + 8 * len(rule.saved.keys() - {RETURN})
    try:
        return address if _rank(stack, address, sought) <= _UNKNOWN else None
    except Unreadable:
        return None


def _rank(stack: Stack, address: int, sought: _Sought) -> int:
    """Tell how unlikely it is that the word at an address is the one that a function returns to."""
    word = stack.glance(address)
    code = stack.space.code(word)
    if code is None:
        return _NO_CALL
    module, place = code.module, word + code.shift
    before = _bytes(module, place - _LONGEST, _LONGEST)
    if not before:
        return _NO_CALL
    if before[-_DIRECT_SIZE] == _DIRECT:
        target = place + int.from_bytes(before[-4:], "little", signed=True)
        if module is sought.module and (target == sought.begin or _jumps(module, target, sought.begin)):
            return _CALLED
        anybody = sought.begin is None or _STUB.match(_bytes(module, target, _LONGEST))
        return _UNKNOWN if anybody else _ELSEWHERE
    return _UNKNOWN if _is_indirect(before) else _NO_CALL


def _jumps(module: Module, function: int, target: int | None) -> bool:
    """Tell whether a function jumps to another one."""
    rule = module.tables.description_at(function) if module.tables else None
    if rule is None or target is None:
        return False
    begin, end = rule
    code = _bytes(module, begin, min(end - begin, _MOST_FUNCTION))
    for jump in _JUMP.finditer(code):
        at = jump.end()
        if begin + at + 4 + int.from_bytes(code[at : at + 4], "little", signed=True) == target:
            return True
    return False


def _bytes(module: Module, place: int, size: int) -> bytes:
    """Give bytes of a module's code, fewer or none where they are not in the file."""
    if module.elf is None or module.file is None:
        return b""
    offset = module.elf.offset_of(place)
    if offset is None:
        return b""
    try:
        return module.file.read(offset, size)
    except Damaged:
        return b""


def _is_indirect(before: bytes) -> bool:
    """Tell whether bytes end with `call` through a register or memory: FF /2, in its forms of 2 to 7 bytes."""
    for size in (2, 3, 4, 6, 7):
        if before[-size] != 0xFF or before[1 - size] >> 3 & 7 != 2:  # noqa: PLR2004
            continue
        mode, low = before[1 - size] >> 6, before[1 - size] & 7
        scaled = mode != 3 and low == 4  # noqa: PLR2004 - a byte more
        moved = {0: 4 if low == 5 else 0, 1: 1, 2: 4, 3: 0}[mode]  # noqa: PLR2004
        if size == 2 + scaled + moved:
            return True
    return False
