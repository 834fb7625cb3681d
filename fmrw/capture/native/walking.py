"""Walking: what `walking.c` is asked of a stack, and what it answers."""

from __future__ import annotations

import ctypes
from ctypes import c_char, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fmrw.capture.native.unwinding import Index

_FRAMES, _WORDS, MOST_CODES = 64, 128, 64
Rules = c_char * (2048 * 8 * (2 + 2 + 1 + 17))
"""Rules that were found, `struct walk_rule`."""
DECLINED, DONE, UNKNOWN = range(3)


class Mapping(ctypes.Structure):
    """`struct known_code`."""

    _fields_ = (
        ("begin", c_uint64), ("end", c_uint64), ("offset", c_uint64), ("inode", c_uint64), ("major", c_uint32), ("minor", c_uint32),
    )  # fmt: skip


class Code(ctypes.Structure):
    """`struct walk_code`."""

    _fields_ = (
        ("mapped", Mapping), ("shift", c_uint64), ("fd", c_int64), ("index", c_void_p), ("module", c_int32), ("stays", c_uint8), ("interprets", c_uint8),
    )  # fmt: skip


class Question(ctypes.Structure):
    """`struct walk`."""

    _fields_ = (
        ("codes", c_void_p), ("rules", c_void_p), ("count", c_int64), ("memory", c_int64), ("lowest", c_uint64), ("highest", c_uint64),
        ("top", c_uint64), ("pc", c_uint64), ("frames", c_int64), ("words", c_int64), ("place", c_uint64 * _FRAMES),
        ("address", c_uint64 * _WORDS), ("value", c_uint64 * _WORDS), ("code", c_int64 * _FRAMES),
    )  # fmt: skip


class Mapped(NamedTuple):
    """Code of a process.

    Attributes
    ----------
    numbers : tuple of int
        Where it is mapped: begin, end, offset, inode, and the device's two numbers.
    shift : int
        What is added to give an address of the linked file.
    fd, tables
        The file, and its unwind tables where they are of the usual kind.
    module, base : int
        Number of the module, and the address of the file's beginning.
    stays : bool
        Whether it cannot be unloaded, as far as that is known.
    interprets : bool
        Whether it holds an interpreter.
    """

    numbers: tuple[int, ...]
    shift: int
    fd: int
    tables: Index | None
    module: int
    base: int
    stays: bool
    interprets: bool

    def described(self) -> Code:
        """Give it as the compiled code has it; whoever keeps that keeps this, too, which holds the tables."""
        return Code(
            Mapping(*self.numbers), self.shift & (1 << 64) - 1, self.fd, ctypes.addressof(self.tables) if self.tables else None,
            self.module, self.stays, self.interprets,
        )  # fmt: skip


class Codes:
    """The code of a process, as far as it is known, in the order of its addresses."""

    def __init__(self, known: list[Mapped]) -> None:
        self.known = sorted(known, key=lambda each: each.numbers[0])
        self._array = (Code * len(known))(*(each.described() for each in self.known))
        self.address = ctypes.addressof(self._array)


class Walked(NamedTuple):
    """A stack that was walked: its frames, by the number of the code and the address of the linked file, and the words by address."""

    frames: list[tuple[int, int]]
    words: dict[int, int]


class Walker:
    """Walks stacks by the compiled code; one thread at a time.

    Parameters
    ----------
    code : PyDLL
    """

    def __init__(self, code: Any) -> None:  # noqa: ANN401 - a library of ctypes
        self._walk = code.fmrw_walk
        self._walk.argtypes, self._walk.restype = (c_void_p,), c_int64
        self._rules = Rules()
        self._question = Question(rules=ctypes.addressof(self._rules))
        self._address = ctypes.addressof(self._question)

    def walk(
        self, memory: int, codes: Codes, bounds: tuple[int, int], place: tuple[int, int]
    ) -> Walked | int | None:
        """Walk a stack.

        Parameters
        ----------
        memory
            Descriptor of the memory of its process.
        codes
            What is known of its code.
        bounds
            Of the memory that is its stack.
        place
            Stack pointer, and where the thread goes on.

        Returns
        -------
        Walked, int or None
            The stack, up to the beginning of its thread; the address of code that is not known; None where Python must walk it.
        """
        asked = self._question
        asked.codes, asked.count, asked.memory = codes.address, len(codes.known), memory
        (asked.lowest, asked.highest), (asked.top, asked.pc) = bounds, place
        done = self._walk(self._address)
        if done == DONE:
            frames = list(zip(asked.code[: asked.frames], asked.place[: asked.frames], strict=True))
            return Walked(
                frames, dict(zip(asked.address[: asked.words], asked.value[: asked.words], strict=True))
            )
        return int(asked.pc) if done == UNKNOWN else None
