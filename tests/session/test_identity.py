"""Two recordings are of one file, or the comparison says first that they are not."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from recordings import events, trace

import fmrw
from fmrw.cli.main import main
from fmrw.errors import UnknownPath
from fmrw.session import identity, verbs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace

__all__ = ["trace"]


@pytest.fixture
def made(trace: Callable[..., LiveTrace], tmp_path: Path) -> Callable[..., Path]:
    """Save a session of one file; content is put where it was recorded, if there is any."""

    def make(session: str, name: str, size: int, content: bytes | None = None) -> Path:
        root = tmp_path / f"{session}-root"
        root.mkdir()
        files = {}
        if content is not None:
            (root / name).write_bytes(content)
            status = (root / name).stat()
            files[name] = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        frame = events(("read", 0, 10), size=size, path=name)
        return trace(frame, root=str(root), files=files).save(tmp_path / session)

    return make


def first_line(capsys: pytest.CaptureFixture[str], a: Path, b: Path) -> str:
    assert main(["diff", str(a), str(b)]) == 0
    return capsys.readouterr().out.splitlines()[0]


def test_the_first_line_tells_different_files(
    made: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    one = made("one", "a.bin", 1000)
    assert "different names: a.bin (1,000 bytes) and b.bin (1,000 bytes)" in first_line(
        capsys, one, made("two", "b.bin", 1000)
    )
    assert "different files, or of one that changed" in first_line(capsys, one, made("three", "a.bin", 999))
    assert first_line(capsys, one, made("same", "a.bin", 1000)).startswith("from")
    assert main(["diff", str(one), str(one), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"] == ""


def test_which_of_two_recordings_lacks_the_file_is_told(
    made: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = made("one", "a.bin", 1000), made("two", "b.bin", 1000)
    monkeypatch.chdir(one.parent)
    lacking = "is not in this session; recorded near it:"
    for pair, file, said in (
        (("one", "two"), "a.bin", f"two: a.bin {lacking} b.bin."),
        (("two", "one"), "a.bin", f"two: a.bin {lacking} b.bin."),
        ((str(one), str(two)), "b.bin", f"{one}: b.bin {lacking} a.bin."),
        (("one:parser", "two"), "b.bin", f"one:parser: b.bin {lacking} a.bin."),
    ):
        assert main(["diff", *pair, "--file", file]) == 1
        assert capsys.readouterr() == ("", f"fmrw: {said}\n")
        with pytest.raises(UnknownPath, match=f"^{re.escape(said)}$"):
            verbs.compare(*pair, file)
        with pytest.raises(UnknownPath, match=f"^{re.escape(said)}$"):
            verbs.compare_chart(*pair, file)


def test_content_at_hand_decides(made: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    one = made("one", "a.bin", 20, b"a" * 20)
    assert first_line(capsys, one, made("copy", "b.bin", 20, b"a" * 20)).startswith("from")
    assert "different content" in first_line(capsys, one, made("other", "a.bin", 20, b"b" * 20))
    assert "different names" in first_line(capsys, one, made("gone", "c.bin", 20))


def test_a_file_that_changed_since_has_no_content(made: Callable[..., Path], tmp_path: Path) -> None:

    one = fmrw.load(made("one", "a.bin", 20, b"a" * 20))
    assert identity.sha256(one, "a.bin") is not None
    (tmp_path / "one-root" / "a.bin").write_bytes(b"changed")
    assert identity.sha256(one, "a.bin") is None
