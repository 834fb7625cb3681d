from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import Growing, LiveTrace

from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def trace(tmp_path: Path) -> Callable[..., LiveTrace]:
    """Make a trace of frames of events; the recorded root is `tmp_path`."""

    def make(
        *frames: pl.DataFrame, live: bool = False, folder: Path | None = None, **facts: object
    ) -> LiveTrace:
        joined = pl.concat([schema.empty(), *frames])
        made = LiveTrace(Growing(joined, {"root": str(tmp_path), **facts}))
        made.live, made.folder = live, folder
        return made

    return make
