"""The bundle of JavaScript in the user's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmrw.explorer.widgets import offline

SCRIPT = "export default { render() { vegaEmbed; } };"

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_bundle_is_taken_from_the_cache_only_if_it_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = offline.bundle.__wrapped__(SCRIPT)
    place = offline._place(SCRIPT)
    assert offline._read(place) == first
    assert offline._place(SCRIPT + " ") != place
    for damage in (
        lambda: place.chmod(0o666),
        lambda: place.write_bytes(place.read_bytes() + b"alert(1)"),
        lambda: place.write_bytes(b""),
        lambda: (place.unlink(), place.symlink_to("/dev/zero")),
        lambda: (place.unlink(), place.mkdir()),
    ):
        damage()
        assert offline._read(place) is None
        if place.is_file() and not place.is_symlink():
            place.unlink()
            offline._write(place, "fine")
            assert offline._read(place) == "fine"


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    offline._write(tmp_path / "file" / "vega.js", "x")
    assert offline._read(tmp_path / "file" / "vega.js") is None
