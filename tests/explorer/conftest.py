"""A trace, and a view of one file of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import events, trace

from fmrw.explorer.explorer import Explorer, explore

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordings import LiveTrace

__all__ = ["trace"]


@pytest.fixture
def view(trace: Callable[..., LiveTrace]) -> Explorer:
    """A file of 1,000 bytes: [0, 100) read, [200, 300) read twice, [250, 260) written, by two processes."""
    frame = pl.concat(
        [
            events(("read", 0, 100), ("read", 200, 300)),
            events(
                ("read", 200, 300), ("write", 250, 260), first=2, pid=43, tid=44, process="other", handle=2
            ),
        ]
    )
    return explore(trace(frame), "sample.bin")
