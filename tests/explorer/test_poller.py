"""The thread of a view."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

from recordings import events

from fmrw.explorer.explorer import explore

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace


def test_the_thread_ends_with_the_view(trace: Callable[..., LiveTrace]) -> None:
    view = explore(trace(events(("read", 0, 100)), live=True), "sample.bin")
    thread = view._poller.thread
    assert thread.is_alive()
    view.close()
    thread.join(600)
    assert not thread.is_alive()


def test_a_forgotten_view_is_not_kept_by_its_thread(trace: Callable[..., LiveTrace]) -> None:
    view = explore(trace(events(("read", 0, 100)), live=True), "sample.bin")
    view.settle(600)
    thread, gone = view._poller.thread, weakref.ref(view)
    del view
    gc.collect()
    thread.join(600)
    gc.collect()  # what it held when it looked
    assert gone() is None
