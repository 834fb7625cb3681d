from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from fmrw.trace.schema import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def events() -> Callable[..., pl.DataFrame]:
    """Make events of one file from tuples (op, start, end); more columns by name."""

    def make(*transfers: tuple[str, int, int], size: int = 1000, **columns: object) -> pl.DataFrame:
        rows = [
            {
                "seq": seq,
                "time": BEGIN + timedelta(milliseconds=seq),
                "op": op,
                "path": "sample.bin",
                "call": seq,
                "start": start,
                "end": end,
                "requested": end - start,
                "size": size,
                "fidelity": "byte",
                "handle": 1,
                "pid": 42,
                "tid": 42,
                "process": "parser",
                "errno": 0,
                "thread": "parser",
                **columns,
            }
            for seq, (op, start, end) in enumerate(transfers)
        ]
        return pl.DataFrame(rows, schema=EVENTS)

    return make


@pytest.fixture
def pixels() -> Callable[[bytes, int], NDArray[np.uint8]]:
    """Turn a PDF of one page into pixels, rows by columns by RGB; `scale` pixels per point."""

    def draw(pdf: bytes, scale: int = 2) -> NDArray[np.uint8]:
        command = ["pdftoppm", "-r", str(72 * scale), "-singlefile", "-aa", "no", "-aaVector", "no", "-"]
        image = subprocess.run(command, input=pdf, capture_output=True, check=True).stdout
        magic, width, height, depth, *_ = image.split(maxsplit=4)
        assert (magic, depth) == (b"P6", b"255")
        return np.frombuffer(image[-int(width) * int(height) * 3 :], np.uint8).reshape(
            int(height), int(width), 3
        )

    return draw


@pytest.fixture
def words() -> Callable[[bytes], str]:
    """Give the text that can be selected in a PDF."""

    def read(pdf: bytes) -> str:
        command = ["pdftotext", "-layout", "-", "-"]
        return subprocess.run(command, input=pdf, capture_output=True, check=True).stdout.decode()

    return read
