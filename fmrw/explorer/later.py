"""Later: the newest of several acts is done once the messages that wait have been answered, so that a picture does not wait for a line of text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_S = 0.02
"""How long nothing else is asked before it is done."""


class Later:
    """One act that waits, for one thread; where no event loop runs, as outside a kernel, nothing waits."""

    def __init__(self) -> None:
        self._waiting: asyncio.TimerHandle | None = None

    def do(self, act: Callable[[], object]) -> None:
        """Do this instead of what still waits."""
        self.drop()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            act()
        else:
            self._waiting = loop.call_later(PAUSE_S, act)

    def drop(self) -> None:
        """Forget what still waits."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
