"""What a mount lets in: options that belong together, directories whose names look like something else, private sessions."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

import pytest

import fmrw
from fmrw.capture.mounts.registry import mounted_at
from fmrw.capture.worker.settings import Settings, options_of

NAMES = [
    b"a,allow_other", b"-o", b"--help", b"new\nline", b"sp ace", b" edge ", b"back\\slash", b"\\040", b"100%s", b"\xff\xfe",
    "ünï".encode(), b"$(id)", b"'\"", b"\x1b[31m", b"#", b"*",
]  # fmt: skip


class Mounted(dict[str, str]):
    """Options of a mount: the mount's own and its file system's."""


def _options(root: Path) -> list[Mounted]:
    found = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        path = fields[4]
        for code in ("040", "011", "012", "134"):
            path = path.replace(f"\\{code}", chr(int(code, 8))) if code != "134" else path
        if right.startswith("fuse.fmrw ") and path.replace("\\134", "\\") == str(root):
            found.append(Mounted(own=fields[5], fs=right.split(" ")[2]))
    return found


@pytest.mark.parametrize(
    "choice", [*itertools.product(["exact", "paged", "cached"], [False, True], [False, True])]
)
def test_others_are_let_in_only_with_the_kernels_checks(choice: tuple[str, bool, bool]) -> None:
    capture, allow_other, read_only = choice
    options = options_of(Settings("/x", "/y", capture=capture, allow_other=allow_other, read_only=read_only))
    assert ("allow_other" in options) == ("default_permissions" in options) == allow_other
    assert not any("suid" in option or "dev" in option for option in options)
    assert not any("," in option for option in options)


@pytest.mark.mount
@pytest.mark.parametrize(
    "allow_other",
    [False, pytest.param(True, marks=pytest.mark.root("or user_allow_other in /etc/fuse.conf"))],
)
def test_nosuid_and_nodev_stay(*, allow_other: bool, tmp_path: Path) -> None:
    with fmrw.mount(tmp_path, allow_other=allow_other):
        (found,) = _options(tmp_path)
        assert {"nosuid", "nodev"} <= set(found["own"].split(","))
        assert ("allow_other" in found["fs"]) == ("default_permissions" in found["fs"]) == allow_other
    assert not _options(tmp_path)


@pytest.fixture(params=NAMES, ids=repr)
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + request.param))
    path.mkdir()
    (path / "file").write_bytes(b"content")
    return path


@pytest.mark.mount
def test_a_directory_of_any_name_is_only_a_directory(odd: Path) -> None:
    with fmrw.mount(odd, reports="hidden") as mount:
        (found,) = _options(odd)
        assert "allow_other" not in found["fs"]
        assert (odd / "file").read_bytes() == b"content"
        assert (odd / "file.csv").read_bytes().startswith(b'"Time"')
        assert mounted_at(odd) is not None
        events = mount.trace.events
        assert "file" in events["path"].to_list()
    assert not _options(odd)


@pytest.mark.mount
def test_a_session_is_private(tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "file").write_bytes(b"content")
    before = os.umask(0)
    try:
        with fmrw.mount(watched, output=tmp_path / "session"):
            (watched / "file").read_bytes()
            (watched / "file.csv").read_bytes()
            _is_private(tmp_path / "session")
        _is_private(tmp_path / "session")
    finally:
        os.umask(before)


def _is_private(folder: Path) -> None:
    seen = 0
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path.name}: {mode:o}"
        seen += 1
    assert seen > 3
