"""Callers in C: what a thread and its process are, read in one go (`callers.c`)."""

from __future__ import annotations

from array import array
from ctypes import c_int64, c_uint64, c_void_p, py_object
from typing import TYPE_CHECKING, Any

from fmrw.capture.native.pairs import code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Facts = tuple[int, bytes, int, int, int, bytes, bytes, bytes]


def sight_of_thread() -> Callable[[int, bool, int, bool], Facts] | None:
    """Give a function that looks at a thread; None where there is no compiled code.

    It is called as `fmrw.capture.recorder.sight.seen`, and with whether the kernel is asked for the family by a descriptor; it gives what a
    `Sight` consists of.
    """
    look: Callable[[int, bool, int, bool], Facts] | None
    look = _function("fmrw_sight", py_object, c_int64, c_int64, c_int64, c_int64)
    return look


def gone_threads() -> Callable[[Sequence[int]], list[bool]] | None:
    """Give a function that tells which threads are gone, of at most 64, by descriptors on their names; None as above."""
    look = _function("fmrw_gone", c_uint64, c_void_p, c_int64)
    if look is None:
        return None

    def gone(files: Sequence[int]) -> list[bool]:
        numbers = array("i", files)
        found = look(*numbers.buffer_info())
        return [bool(found >> number & 1) for number in range(len(numbers))]

    return gone


def _function(name: str, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 - of ctypes
    try:
        library = code()
        if library is None:
            return None
        function = getattr(library, name)
    except (OSError, AttributeError):  # of another machine, or damaged: Python looks
        return None
    function.argtypes, function.restype = arguments, result
    return function
