"""Gate: how many threads of the mount are free to take a request, and when one more is needed."""

from __future__ import annotations

from ctypes import c_int64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Gate:
    """Counts the threads that are outside of an operation, and calls for one more when none is.

    A thread is free again before its answer is sent, so that a program that calls again and again finds the same two
    threads, and not one more whenever it is faster than our return.
    """

    def __init__(self) -> None:
        self.free: list[None] = []  # an entry per thread; append and pop are atomic
        self.inside = c_int64()
        """Of these, those in an operation that the compiled code answers."""
        self.grow: Callable[[], None] = lambda: None

    def enter(self) -> None:
        """Begin an operation."""
        try:  # noqa: SIM105 - every request passes here
            self.free.pop()
        except IndexError:  # more threads than entries, for a moment
            pass
        if not self.spare():
            self.grow()

    def spare(self) -> bool:
        """Tell whether a thread is left for the next request."""
        return len(self.free) > self.inside.value
