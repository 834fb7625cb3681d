"""Annotations on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import events

import fmrw
from fmrw.errors import SessionError
from fmrw.offsets import Annotation
from fmrw.session import annotations
from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import schema

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


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": [[0, 1, "na', b"{" + b" " * (4 << 20) + b"}"])
def test_what_cannot_be_read_is_not_written_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / annotations.NAME).write_bytes(content)
    with pytest.raises(SessionError, match="in this view only"):
        annotations.write(tmp_path, "b", [Annotation(0, 1, "x")])
    assert (tmp_path / annotations.NAME).read_bytes() == content


def test_no_more_is_written_than_is_read_again(tmp_path: Path) -> None:
    most = [Annotation(at, at + 1, f"part {at}") for at in range(1_000)]
    annotations.write(tmp_path, "a", most)
    assert annotations.read(tmp_path, "a") == tuple(most)
    for more in ([*most, Annotation(0, 2, "one more")], [Annotation(0, 1, "n" * (4 << 20))]):
        with pytest.raises(SessionError, match="1,000 annotations of a file, or 4 MiB"):
            annotations.write(tmp_path, "b", more)
    assert annotations.read(tmp_path, "a") == tuple(most)


def test_a_file_has_one_set_of_annotations_whatever_it_is_called(tmp_path: Path) -> None:
    recorded = events(("read", 0, 10), path="a/b")
    source = FrameSource(recorded, pl.DataFrame(schema=schema.PROCESSES), {"root": str(tmp_path)})
    folder = Trace(source).save(tmp_path / "session")
    marked = (Annotation(0, 4, "magic"),)
    trace = fmrw.load(folder)
    trace.annotate(tmp_path / "a" / "b", marked)
    for name in ("a/b", "./a/../a/b", tmp_path / "a" / "b"):
        assert trace.annotations(name) == fmrw.load(folder).annotations(name) == marked
    trace.annotate("untouched", marked)
    assert fmrw.load(folder).annotations("./untouched") == marked
