"""A small file in a folder of its own, to be probed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "watched" / "a.bin"
    path.parent.mkdir()
    path.write_bytes(b"MAGIC" + bytes(range(65, 91)))
    return path
