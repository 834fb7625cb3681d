"""Opening files beneath mounts, by whatever root a session names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fmrw.session.beneath import open_below, unmonitored

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("root", ["/", "//", "///"])
def test_the_root_of_the_file_system_may_be_named(tmp_path: Path, root: str) -> None:
    """POSIX keeps two leading slashes apart, and so does dirname: "//" is above itself."""
    file = tmp_path / "file"
    file.write_bytes(b"content")
    fd = open_below(root, os.fsencode(file)[1:])
    assert fd is not None
    assert os.read(fd, 9) == b"content"
    os.close(fd)
    assert open_below(root, b"there/is/no/such/file") is None


@pytest.mark.parametrize("path", [b"//a/b", b"/a/b", b"a/b", b"a", b""])
def test_what_nobody_monitors_is_opened_as_it_is(path: bytes) -> None:
    assert unmonitored(path) == path
