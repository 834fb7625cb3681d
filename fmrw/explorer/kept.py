"""Kept picture: what a saved notebook holds of a widget; a second output behind the widget's own, brought up to date as the user looks around.

A notebook keeps what a cell has put out, and a widget's state is in the kernel. So a picture and a text follow the widget as an output with an
identifier, which the kernel may replace (`update_display`). In the page the style sheet hides it as long as the widget is there; where the
widget is gone (no kernel, nbconvert, an untrusted notebook, a site that shows notebooks) it is what is seen.

Threads. The picture is made at the end of each cell, and, after gestures, in a thread of its own once nothing has changed for a second.
"""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from fmrw.errors import FmrwError
from fmrw.explorer.outputs import publish

if TYPE_CHECKING:
    from fmrw.explorer.outputs import Still

_QUIET_S = 1.0
_log = logging.getLogger(__name__)


class Shown(Protocol):
    """A widget that has a picture."""

    def still(self) -> Still:
        """Give what is to be kept."""


class Kept:
    """The pictures of one widget in the notebook, one for each time it was displayed.

    Parameters
    ----------
    shown
        Whose picture is kept; held weakly.
    """

    def __init__(self, shown: Shown) -> None:
        self._shown = weakref.ref(shown)
        self._places: list[str] = []
        self._stale = False
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def show(self) -> None:
        """Put the picture out here, in the cell that runs."""
        shown = self._shown()
        if shown is not None:
            self._places.append(publish(shown.still()))
            _watch(self)

    def changed(self) -> None:
        """Note that the widget shows something else."""
        with self._lock:
            self._stale = True
            if self._places:
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = threading.Timer(_QUIET_S, self.refresh)
                self._timer.daemon = True
                self._timer.start()

    def refresh(self) -> None:
        """Bring the pictures up to date, where something changed."""
        with self._lock:
            due, self._stale = self._stale and bool(self._places), False
        shown = self._shown() if due else None
        if shown is None:
            return
        try:
            kept = shown.still()
        except (FmrwError, OSError) as error:
            _log.debug(
                "no picture is kept", exc_info=error
            )  # the widget says what is wrong; the picture before stays
            return
        for place in self._places:
            publish(kept, place)

    def close(self) -> None:
        """Keep what was seen last, and change it no more."""
        if self._timer is not None:
            self._timer.cancel()
        self.refresh()
        self._places.clear()


_watched: weakref.WeakSet[Kept] = weakref.WeakSet()
_registered: weakref.WeakSet[Any] = weakref.WeakSet()


def _watch(kept: Kept) -> None:
    """Bring a picture up to date at the end of each cell."""
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - there is one, since something was displayed

    _watched.add(kept)
    shell = get_ipython()
    if shell is not None and shell not in _registered:
        _registered.add(shell)
        shell.events.register("post_run_cell", _cell_ended)


def _cell_ended(*_result: object) -> None:
    for kept in list(_watched):
        kept.refresh()
