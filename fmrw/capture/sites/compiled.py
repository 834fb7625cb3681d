"""Stacks walked by the compiled code, all frames at once, where the tables of all of them are of the usual kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.capture.native.stacks import CODE, NEW, OFTEN, SPACE_CODES
from fmrw.capture.native.walking import MOST_CODES, Codes, Mapped
from fmrw.capture.native.walking import Walked as Answer
from fmrw.capture.sites.frames import CFI, Frame
from fmrw.capture.sites.stack import Stack
from fmrw.capture.sites.unwind import Walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmrw.capture.native.stacks import Stacks
    from fmrw.capture.native.walking import Walker
    from fmrw.capture.sites.space import Code, Space

_MOST_ASKED = SPACE_CODES + 2


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


class Compiled:
    """What the compiled code sees of threads that wait, once it is told what it asks for.

    Parameters
    ----------
    native : Stacks
    number : callable
        Gives the frames of a site their number: module, distance from its beginning, quality; and their address space.
    """

    def __init__(
        self, native: Stacks, number: Callable[[tuple[tuple[int, int, str], ...], Space], int]
    ) -> None:
        self._native, self._number = native, number

    def introduce(self, tid: int, line: int, space: Space) -> int | None:
        """Let a thread be looked at, by the descriptor of what it waits in; give what `site` gives."""
        if not self._native.knows_space(space.number):
            self._tell(space)
        self._native.learn_thread(tid, line, (space.memory, space.list), space.number)
        return self.site(tid, space)

    def site(self, tid: int, space: Space) -> int | None:
        """Give the number of the site that a thread waits at; None where Python must walk its stack."""
        for _asked in range(_MOST_ASKED):
            answer = self._native.see(tid)
            if answer >= 0:
                return answer
            if answer == NEW:
                return self._numbered(space)
            if answer == OFTEN:
                space.settle()
            elif answer != CODE or not self._finds(space):
                break
            self._tell(space)
        return None

    def _numbered(self, space: Space) -> int:
        """Give the stack that has just been walked a number."""
        number = -1
        try:
            frames = tuple([(module, place, CFI) for module, place in self._native.frames()])
            number = self._number(frames, space)
        finally:
            self._native.number(number)
        return number

    def _finds(self, space: Space) -> bool:
        """Look up the code that is asked for; False where there is none, or it is too much."""
        code = space.code(self._native.place)
        if code is None:
            return False
        known, begin = [*space.codes], code.mapping.begin
        if (known.index(begin) if begin in space.codes else len(known)) >= SPACE_CODES:
            return False
        space.codes[begin] = code
        space.table = None
        return True

    def _tell(self, space: Space) -> None:
        """Tell of the code of a process that is known already."""
        version = space.version
        codes = [
            _mapped(code, stays=space.settled and space.stays(code))
            for code in [*space.codes.values()][:SPACE_CODES]
        ]
        if space.version == version:  # or a file of these may have been closed meanwhile
            self._native.learn_space(space.number, codes, settled=space.settled)


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


def _mapped(code: Code, *, stays: bool = False) -> Mapped:
    module = code.module
    return Mapped(
        code.mapping.numbers, code.shift, module.fd, module.tables.compiled if module.tables else None,
        module.number, module.elf.base if module.elf else 0, stays, module.interpreter is not None,
    )  # fmt: skip


def _walk(space: Space, table: Codes, found: Answer, stack: Stack) -> Walk:
    codes = [space.codes[each.numbers[0]] for each in table.known]
    stack.words.update(found.words)
    frames = [
        Frame(codes[number], place, CFI, not depth) for depth, (number, place) in enumerate(found.frames)
    ]
    return Walk(frames, stack, whole=True)
