"""Interpreters: where a file holds one of CPython, by its dynamic symbols."""

from __future__ import annotations

import os
import re
from struct import error as struct_error
from typing import TYPE_CHECKING, NamedTuple

from fmrw.capture.sites.elf import symbols

if TYPE_CHECKING:
    from fmrw.capture.sites.elf import Elf

VERSIONS = frozenset(((3, 11), (3, 12), (3, 13)))
_NAMED = re.compile(rb"(?:lib)?python3(?:\.\d+)?[a-z]*(?:\.so(?:\.[\d.]+)?)?")
_SYMBOLS = (b"_PyRuntime", b"Py_Version", b"_PyEval_EvalFrameDefault")


class Interpreter(NamedTuple):
    """An interpreter in a file: addresses when it is linked, and its layout; None where it publishes that."""

    runtime: int
    begin: int
    end: int
    version: tuple[int, int]


def interpreter(fd: int, elf: Elf, path: bytes) -> Interpreter | None:
    """Find the interpreter in a file; None where there is none, or one of another version."""
    if not _NAMED.fullmatch(path.rpartition(b"/")[2]):
        return None
    try:
        found = symbols(fd, _SYMBOLS)
        version_at = elf.offset_of(found[b"Py_Version"][0])
        told = int.from_bytes(os.pread(fd, 4, version_at or 0), "little")
    except (KeyError, OSError, ValueError, struct_error):
        return None
    begin, size = found[_SYMBOLS[2]]
    version = told >> 24, told >> 16 & 0xFF
    if version not in VERSIONS:
        return None
    return Interpreter(found[_SYMBOLS[0]][0], begin, begin + size, version)
