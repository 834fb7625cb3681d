"""Stacks walked by the compiled code, all frames at once, where the tables of all of them are of the usual kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.capture.native.walking import MOST_CODES, Codes, Mapped
from fmrw.capture.native.walking import Walked as Answer
from fmrw.capture.sites.frames import CFI, Frame
from fmrw.capture.sites.stack import Stack
from fmrw.capture.sites.unwind import Walk

if TYPE_CHECKING:
    from fmrw.capture.native.walking import Walker
    from fmrw.capture.sites.space import Code, Space


def walked(walker: Walker, space: Space, top: int, pc: int, skipped: tuple[int, int]) -> Walk | None:
    """Walk a stack, as `unwind` does; None where that must do it."""
    bounds = space.mapping(top)
    if bounds is None or not bounds.is_memory:
        return None
    while True:
        table = _table(space)
        found = walker.walk(space.memory, table, (bounds.begin, bounds.end), (top, pc))
        if isinstance(found, Answer):
            return _walk(space, table, found, Stack(space, top, skipped))
        if found is None or not _known(space, found):
            return None


def _table(space: Space) -> Codes:
    """Give what the compiled code is to know of a process; made anew when code was found."""
    if space.table is None:
        space.table = Codes([_mapped(code) for code in space.codes.values()])
    table: Codes = space.table
    return table


def _known(space: Space, pc: int) -> bool:
    """Let the compiled code know the code at a place; False where there is none, or it is too much."""
    code = space.code(pc)
    if code is None or len(space.codes) >= MOST_CODES or code.mapping.begin in space.codes:
        return False
    space.codes[code.mapping.begin] = code
    space.table = None
    return True


def _mapped(code: Code) -> Mapped:
    tables = code.module.tables
    return Mapped(
        code.mapping.begin, code.mapping.end, code.shift, code.module.fd, tables.compiled if tables else None
    )


def _walk(space: Space, table: Codes, found: Answer, stack: Stack) -> Walk:
    codes = [space.codes[each.begin] for each in table.known]
    stack.words.update(found.words)
    frames = [
        Frame(codes[number], place, CFI, not depth) for depth, (number, place) in enumerate(found.frames)
    ]
    return Walk(frames, stack, whole=True)
