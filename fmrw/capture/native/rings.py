"""Rings in C: whether a process holds an io_uring (`rings.c`)."""

from __future__ import annotations

import os
from ctypes import c_int64
from typing import TYPE_CHECKING

from fmrw.capture.native.pairs import code

if TYPE_CHECKING:
    from collections.abc import Callable

_HAS_RING, _TOO_MANY = 1, 2


def ring_look() -> Callable[[int], bool | None] | None:
    """Give a function that tells of a thread whether its process holds a ring; None where there is no compiled code.

    It gives None where there are more descriptors than are looked at, and raises OSError where they may not be looked at.
    """
    try:
        library = code()
        if library is None:
            return None
        look = library.fmrw_holds_ring
    except (OSError, AttributeError):  # of another machine, or damaged: Python looks
        return None
    look.argtypes, look.restype = (c_int64,), c_int64

    def holds(tid: int) -> bool | None:
        found: int = look(tid)
        if found < 0:
            raise OSError(-found, os.strerror(-found))
        return None if found == _TOO_MANY else found == _HAS_RING

    return holds
