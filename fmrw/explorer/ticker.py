"""A thread that lets a view follow a live recording, at most four times a second.

It holds the view weakly and ends with it, with the recording, or when told to. What the view takes is not taken from the watched
program: after each step it rests (`REST`) nine times as long as the step took, so that a view takes a tenth of one CPU at most, and less
where the machine is busy, since steps take longer then.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_S = 0.25
REST, _LONGEST_S = 9, 2.0


class Follower(Protocol):
    """What can follow a recording."""

    def follow(self) -> bool:
        """Take in what is new; False when nothing more will come."""


class Ticker:
    """Call `follow` of an object until it says that all has come."""

    def __init__(self, follower: Follower, period_s: float = PERIOD_S, rest: float = REST) -> None:
        self._end = threading.Event()
        run = _runner(weakref.ref(follower), self._end, period_s, rest)
        self.thread = threading.Thread(target=run, name="fmrw-view", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """End it; a step that runs is finished."""
        self._end.set()


def _runner(
    follower: weakref.ref[Follower], end: threading.Event, period_s: float, rest: float
) -> Callable[[], None]:
    """Make the thread's function, which knows the view by a weak reference only."""

    def run() -> None:
        pause = period_s
        while not end.wait(pause):
            view = follower()
            if view is None:
                return
            began = time.perf_counter()
            if not view.follow():
                return
            pause = max(period_s, min((time.perf_counter() - began) * rest, _LONGEST_S))
            del view

    return run
