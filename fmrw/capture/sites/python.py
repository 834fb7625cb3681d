"""Frames of Python: which functions an interpreter runs, read in its memory (CPython 3.11 to 3.13).

Since 3.11 a call from one Python function to another leaves nothing on the machine's stack: one frame of the interpreter's loop stands for many. The
interpreter keeps a chain of its own, whose frames say where the loop was entered. So the functions of each entry are put in front of the frame of
the loop that runs them.

Where the fields of a version lie is known for 3.11 and 3.12 (`_LAYOUTS`, by `offsetof` on their headers, x86-64), and published by the interpreter itself since 3.13
(`_Py_DebugOffsets`, Include/internal/pycore_runtime.h). Everything read may be garbage: numbers of frames, lengths and places are bounded.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.sites.stack import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fmrw.capture.sites.frames import Frame
    from fmrw.capture.sites.interpreter import Interpreter
    from fmrw.capture.sites.stack import Stack

PYTHON = "python"
_COOKIE = b"xdebugpy"
_PUBLISHED = Struct("<68Q")
_WORD = Struct("<Q")
_MOST_FRAMES, _MOST_THREADS = 64, 256
_LONGEST_NAME, _LONGEST_TABLE = 1024, 1 << 16
_ENTERED = 3  # FRAME_OWNED_BY_CSTACK: not a function, but where the loop was entered


class Layout(NamedTuple):
    """Where fields lie: of the runtime, interpreters, threads, frames, code objects, strings and bytes."""

    interpreters: int
    threads: int
    next_thread: int
    native: int
    current: int  # of a thread; where `frame` is not -1, what lies there points to it
    frame: int
    previous: int
    code: int
    instruction: int
    owner: int
    entry: int  # -1 where frames that are no functions say it
    filename: int
    qualname: int
    first_line: int
    lines: int
    bytecode: int
    ascii: int
    compact: int


_LAYOUTS = {
    (3, 11): Layout(40, 16, 8, 160, 56, 8, 48, 32, 56, 69, 68, 112, 128, 72, 136, 184, 48, 72),
    (3, 12): Layout(40, 72, 8, 144, 56, 0, 8, 0, 56, 70, -1, 112, 128, 68, 136, 192, 40, 56),
}


class Function(NamedTuple):
    """A function of Python that runs."""

    file: str
    name: str
    line: int


def functions(stack: Stack, frames: Sequence[Frame], tid: int) -> dict[int, list[Function]]:
    """Give the functions that a thread runs, the innermost first, by the number of the frame of the loop that runs them.

    What was looked at is remembered in the stack's words.
    """
    loops: list[int] = []
    known: tuple[Interpreter, int] | None = None
    for number, frame in enumerate(frames):
        code = frame.code
        inside = None if code is None else code.module.interpreter
        if code is not None and inside is not None and inside.begin < frame.place <= inside.end:
            loops.append(number)
            known = inside, inside.runtime - code.shift
    if known is None:
        return {}
    try:
        reader = _Reader(stack, *known)
        groups = list(reader.groups(tid, len(loops)))
    except (Unreadable, struct_error, ValueError, OverflowError):
        return {}
    return dict(zip(loops, groups, strict=False))


class _Reader:
    """Reads the memory of one interpreter."""

    def __init__(self, stack: Stack, found: Interpreter, runtime: int) -> None:
        self._stack, self._runtime = stack, runtime
        self._layout = _LAYOUTS.get(found.version) or self._published()

    def _published(self) -> Layout:
        if self._bytes(self._runtime, len(_COOKIE)) != _COOKIE:
            raise Unreadable("no offsets are published")
        at = _PUBLISHED.unpack(self._bytes(self._runtime + 24, _PUBLISHED.size))
        if max(at) > _LONGEST_TABLE << 4:
            raise Unreadable("offsets that cannot be")
        return Layout(
            at[2], at[6], at[18], at[22], at[20], -1, at[26], at[27], at[28], at[30], -1, at[32], at[34], at[36], at[35], at[40], at[67], at[67] + 16,
        )  # fmt: skip

    def groups(self, tid: int, most: int) -> Iterator[list[Function]]:
        """Give the functions of each entry into the loop, the innermost first."""
        layout, group = self._layout, list[Function]()
        frame = self._current(tid)
        for _number in range(_MOST_FRAMES):
            if not frame or not most:
                break
            ends = layout.entry >= 0 and self._byte(frame + layout.entry) != 0
            if layout.entry < 0 and self._byte(frame + layout.owner) == _ENTERED:
                ends = True
            else:
                group.append(self._function(frame))
            if ends:
                yield group
                group, most = [], most - 1
            frame = self._word(frame + layout.previous)
        if group and most:
            yield group

    def _current(self, tid: int) -> int:
        """Give the innermost frame of a thread."""
        layout = self._layout
        thread = self._word(self._word(self._runtime + layout.interpreters) + layout.threads)
        for _number in range(_MOST_THREADS):
            if not thread:
                break
            if self._word(thread + layout.native) == tid:
                current = self._word(thread + layout.current)
                return current if layout.frame < 0 else self._word(current + layout.frame)
            thread = self._word(thread + layout.next_thread)
        raise Unreadable("a thread that does not run Python")

    def _function(self, frame: int) -> Function:
        layout = self._layout
        code = self._word(frame + layout.code)
        place = self._word(frame + layout.instruction) - code - layout.bytecode
        first = int.from_bytes(self._bytes(code + layout.first_line, 4), "little", signed=True)
        names = [self._text(self._peek(code + each)) for each in (layout.filename, layout.qualname)]
        return Function(
            names[0], names[1], line_of(self._table(self._peek(code + layout.lines)), first, place // 2)
        )

    def _text(self, string: int) -> str:
        """Read a string object in its compact form (Include/cpython/unicodeobject.h)."""
        layout = self._layout
        length = min(self._peek(string + 16), _LONGEST_NAME)
        state = self._byte(string + 32, remember=False)
        kind, is_ascii = state >> 2 & 7, state >> 6 & 1
        if kind not in (1, 2, 4):
            raise Unreadable("a string of a kind that is not known")
        data = self._bytes(string + (layout.ascii if is_ascii else layout.compact), length * kind)
        return data.decode({1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[kind], "backslashreplace")

    def _table(self, table: int) -> bytes:
        return self._bytes(table + 32, min(self._peek(table + 16), _LONGEST_TABLE))

    def _word(self, address: int) -> int:
        value = self._peek(address)
        self._stack.words[address] = value
        return value

    def _peek(self, address: int) -> int:
        value: int = _WORD.unpack(self._bytes(address, 8))[0]
        return value

    def _byte(self, address: int, *, remember: bool = True) -> int:
        at = address & ~7
        value = (self._word if remember else self._peek)(at)
        return value >> 8 * (address - at) & 0xFF

    def _bytes(self, address: int, size: int) -> bytes:
        return self._stack.memory_at(address, size)


def line_of(table: bytes, first: int, index: int) -> int:
    """Give the line of an instruction by a table of locations; 0 where it has none.

    Source: Objects/locations.md of CPython 3.11 to 3.13.
    """
    at, line, reached = 0, first, 0
    try:
        while at < len(table):
            kind, length = table[at] >> 3 & 15, (table[at] & 7) + 1
            delta, at = _delta(table, at + 1, kind)
            line += delta
            reached += length
            if reached > index:
                return 0 if kind == 15 else line  # noqa: PLR2004 - no location
    except IndexError:
        pass
    return 0


def _delta(table: bytes, at: int, kind: int) -> tuple[int, int]:
    """Give how many lines an entry goes on, and the place behind it."""
    if kind < 10:  # noqa: PLR2004 - short forms: a byte for the columns
        return 0, at + 1
    if kind < 13:  # noqa: PLR2004 - forms for one line: two bytes for the columns
        return kind - 10, at + 2
    if kind == 15:  # noqa: PLR2004 - no location
        return 0, at
    number, at = _number(table, at)
    for _column in range(3 if kind == 14 else 0):  # noqa: PLR2004 - the long form
        _skipped, at = _number(table, at)
    return (-(number >> 1) if number & 1 else number >> 1), at


def _number(table: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = table[at]
        at += 1
        value |= (byte & 0x3F) << shift
        shift += 6
        if not byte & 0x40:
            return value, at
        if shift > 60:  # noqa: PLR2004 - more than any line
            raise IndexError
