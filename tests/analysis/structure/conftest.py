"""What the tests of all formats need: to write a sample, and to look a range up by its name."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import polars as pl
import pytest
from found import Found

from fmrw.analysis.structure import structure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Found]:
    """Write bytes to a file (or take one that is there) and give its structure."""

    def looked(content: bytes | Path, **options: object) -> Found:
        path = tmp_path / "sample"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path = content
        frame = structure(path, **options)
        size = path.stat().st_size
        outside = (pl.col("start") < 0) | (pl.col("end") > size) | (pl.col("start") >= pl.col("end"))
        assert frame.filter(outside).is_empty()
        return Found(path.read_bytes(), frame)

    return looked


@pytest.fixture
def tool(tmp_path: Path) -> Callable[..., str]:
    """Run a program in the test's folder and give what it says."""

    def ran(*command: str | Path, check: bool = True) -> str:
        done = subprocess.run(
            [str(word) for word in command], cwd=tmp_path, capture_output=True, check=check, timeout=600
        )
        return done.stdout.decode("utf-8", "replace")

    return ran
