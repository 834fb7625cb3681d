"""Annotations on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fmrw.session import annotations

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"sample.bin": [[1], [5, 3, "x"], [0, 1, 2], ["a", 1, "x"], [true, 2, "x"], null]}',
        '{"sample.bin": 7}',
    ],
)
def test_hostile_annotations_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "annotations.json").write_text(text)
    assert annotations.read(tmp_path, "sample.bin") == ()


def test_annotations_are_not_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text('{"sample.bin": [[0, 1, "x"]]}')
    (tmp_path / "annotations.json").symlink_to("target")
    assert annotations.read(tmp_path, "sample.bin") == ()
