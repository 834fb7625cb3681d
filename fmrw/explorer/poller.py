"""Poller: a thread that calls `follow` again and again; of a view to take in new events, of a playback to move on.

It holds the object weakly. It ends with it, when `follow` says so, or when told to (`stop`).

Limits. A view is asked at most four times a second, and the poller rests (`REST`) nine times as long as each step took. So a view takes
a tenth of one CPU at most from the watched program, and less where the machine is busy, since steps take longer then.
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


class Poller:
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
