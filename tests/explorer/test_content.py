"""The bytes of a file, and what is said when they are not what was recorded."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from recordings import events, seen, still

from fmrw.explorer.byterows import block
from fmrw.explorer.explorer import Explorer, explore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace


def test_content_that_changed_is_not_shown(view: Explorer, tmp_path: Path) -> None:
    view.window = (0, 16)
    assert "not at hand" in seen(view)
    (tmp_path / "sample.bin").write_bytes(b"x" * 999)
    assert "changed" in seen(view)
    (tmp_path / "sample.bin").write_bytes(b"x" * 1000)
    assert "78 78" in seen(view)


@pytest.mark.parametrize("window", [(0, 5000), (0, 16)])
def test_a_file_that_changes_without_an_event_is_told_at_any_zoom(
    trace: Callable[..., LiveTrace], tmp_path: Path, window: tuple[int, int]
) -> None:
    file, other = tmp_path / "sample.bin", tmp_path / "other"
    file.write_bytes(b"x" * 5000)
    view = explore(trace(events(("read", 0, 100), size=5000), live=True), "sample.bin", window=window)
    still(view)
    panel = view._shown()
    told, versions = [], set()
    other.write_bytes(b"y" * 70)
    for change in (
        lambda: None,
        lambda: other.rename(file),
        file.unlink,
        lambda: file.write_bytes(b"x" * 6000),
    ):
        change()
        view.follow()
        told.append(seen(view))
        versions.add(panel.bytes.version)
    assert len(versions) == 4  # the page is told to ask again
    view.follow()
    assert panel.bytes.version in versions  # and is left alone where nothing changed
    assert told[0].startswith("78 78")
    assert "it has 70 now" in told[1]
    assert "not at hand" in told[2]
    assert "it has 6,000 now" in told[3]
    assert view.problem == ""


def test_content_with_another_time_is_not_shown(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    (tmp_path / "sample.bin").write_bytes(b"y" * 1000)
    made = trace(events(("read", 0, 100)), files={"sample.bin": {"size": 1000, "mtime_ns": 5}})
    view = explore(made, "sample.bin", window=(0, 8))
    assert "time of change" in seen(view)


def test_the_format_names_what_is_seen(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sample.zip", "w") as made:
        made.writestr("a.txt", b"a" * 400)
    size = (tmp_path / "sample.zip").stat().st_size
    view = explore(trace(events(("read", 0, 30), size=size, path="sample.zip")), "sample.zip")
    assert view.settle(600)
    assert any("a.txt" in text["t"] for text in view.scene.canvas.texts)
    view.window = (0, 64)
    assert any("a.txt" in name for _, _, name in block(view, 0, 64).parts)
