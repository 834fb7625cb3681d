"""What happens beneath the mount meanwhile: it counts at once, and no link put there leads out.

A descriptor that is only a name (`O_PATH`) and its magic link reach a file without looking it up anew, so what an attacker would have
to win by a race happens every time.
"""

# The system calls themselves are what is tested:
# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH208, S103
from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from probe import OTHER

import fmrw
from fmrw.capture.mirror.passthrough import Passthrough

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sides import Side

pytestmark = pytest.mark.mount

SECRET = b"kept outside"


def test_appending_goes_behind_what_was_appended_beneath(side: Side) -> None:
    path = side.root / "log"
    path.write_bytes(b"first ")
    above = os.open(path, os.O_WRONLY | os.O_APPEND)
    beneath = os.open("log", os.O_WRONLY | os.O_APPEND, dir_fd=side.beneath)
    for number in range(3):
        os.write(above, b"above%d " % number)
        os.write(beneath, b"beneath%d " % number)
    os.ftruncate(beneath, 20)
    os.write(above, b"last")
    os.close(above)
    os.close(beneath)
    assert path.read_bytes() == b"first above0 beneathlast"
    path.unlink()


@pytest.mark.parametrize("exclusively", [False, True])
def test_a_file_made_beneath_meanwhile_is_opened_unless_it_must_be_new(
    exclusively: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    making = Passthrough._open_beneath

    def late(self: Passthrough, path: bytes, flags: int, mode: int = 0) -> int:
        if flags & os.O_CREAT:  # somebody was faster
            fd = os.open("made", os.O_CREAT | os.O_WRONLY, dir_fd=self.root)
            os.write(fd, b"theirs")
            os.close(fd)
        return making(self, path, flags, mode)

    monkeypatch.setattr(Passthrough, "_open_beneath", late)
    flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if exclusively else 0)
    code = f"import os; print(os.read(os.open('made', {flags}), 10))"
    with fmrw.mount(tmp_path, worker="thread", reports="off") as mount:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert mount.facts()["faults"] == 0
    assert ("FileExistsError" in done.stderr) == exclusively, done.stderr
    assert done.stdout == ("" if exclusively else "b'theirs'\n")


WATCHER = """
import os, select, sys
print("watching", flush=True)
missing = 0
while not select.select([0], [], [], 0)[0]:
    for _ in range(100):
        try:
            os.stat("config", dir_fd=int(sys.argv[1]))
        except FileNotFoundError:
            missing += 1
print(missing)
"""


def test_an_open_file_is_replaced_in_one_step(side: Side) -> None:
    path, new = side.root / "config", side.root / "config.new"
    path.write_bytes(b"old")
    with subprocess.Popen(
        [sys.executable, "-c", WATCHER, str(side.beneath)], pass_fds=[side.beneath],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as watcher:  # fmt: skip
        assert watcher.stdout is not None
        watcher.stdout.readline()
        for number in range(300):
            new.write_bytes(b"%d" % number)
            with path.open("rb"):
                new.replace(path)
        missing, _error = watcher.communicate("")
    path.unlink()
    assert int(missing) == 0, "there was a moment without it"


def _read(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    read = os.read(fd, 100)
    os.close(fd)
    assert read != SECRET


def _list(path: str) -> None:
    assert os.listdir(path) == []


FILES: dict[str, Callable[[str], Any]] = {
    "read": _read,
    "write": lambda path: os.write(os.open(path, os.O_WRONLY), b"x"),
    "append": lambda path: os.write(os.open(path, os.O_WRONLY | os.O_APPEND), b"x"),
    "empty": lambda path: os.open(path, os.O_RDWR | os.O_TRUNC),
    "truncate": lambda path: os.truncate(path, 1),
    "mode": lambda path: os.chmod(path, 0o666),
    "owner": lambda path: os.chown(path, os.getuid(), os.getgid()),
    "times": lambda path: os.utime(path, ns=(1, 2)),
    "set attribute": lambda path: os.setxattr(path, "user.key", b"other"),
    "get attribute": lambda path: _differs(os.getxattr(path, "user.key")),
    "remove attribute": lambda path: os.removexattr(path, "user.key"),
}
FOLDERS: dict[str, Callable[[str], Any]] = {
    "list": _list,
    "mode": lambda path: os.chmod(path, 0o777),
    "times": lambda path: os.utime(path, ns=(1, 2)),
    "make": lambda path: os.mkdir(f"{path}/made"),
    "make a file": lambda path: os.open(f"{path}/made", os.O_CREAT | os.O_WRONLY),
    "remove": lambda path: os.unlink(f"{path}/inside"),
    "rename": lambda path: os.rename(f"{path}/inside", f"{path}/renamed"),
}


def _differs(value: bytes) -> None:
    assert value != SECRET


@pytest.fixture
def mirrored(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A mount without `default_permissions`, under which the kernel looks at a file again before it asks for more; what is beneath."""
    folder = tmp_path / "mirrored"
    folder.mkdir()
    beneath = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with fmrw.mount(folder, reports="off") as mount:
        yield folder, beneath
        assert mount.facts()["faults"] == 0
    os.close(beneath)


def _outside(base: Path, kind: str) -> Path:
    """Make a file, or a folder with a file in it, that nobody may touch."""
    path = base / "outside"
    if kind == "folder":
        path.mkdir()
        (path / "inside").write_bytes(SECRET)
    else:
        path.write_bytes(SECRET)
    os.setxattr(path, "user.key", SECRET)
    return path


def _state(path: Path) -> list[Any]:
    found = path.stat()
    below = sorted(os.listdir(path)) if path.is_dir() else path.read_bytes()
    key = os.getxattr(path, "user.key")
    return [found.st_mode, found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_nlink, below, key]


@pytest.mark.parametrize(
    ("kind", "name"), [*(("file", name) for name in FILES), *(("folder", name) for name in FOLDERS)]
)
def test_a_link_put_beneath_is_not_followed(
    kind: str, name: str, mirrored: tuple[Path, int], tmp_path: Path
) -> None:
    root, beneath = mirrored
    outside = _outside(tmp_path, kind)
    (root / "victim").mkdir() if kind == "folder" else (root / "victim").write_bytes(b"inside")
    held = os.open(root / "victim", os.O_PATH)
    os.rename("victim", "away", src_dir_fd=beneath, dst_dir_fd=beneath)
    os.symlink(outside, "victim", dir_fd=beneath)
    before = _state(outside)
    with contextlib.suppress(OSError):
        (FILES if kind == "file" else FOLDERS)[name](f"/proc/self/fd/{held}")
    os.close(held)
    assert _state(outside) == before


ATTEMPTS = f"""
import os, sys
os.setgroups([])
os.setresgid({OTHER}, {OTHER}, {OTHER})
os.setresuid({OTHER}, {OTHER}, {OTHER})
held = os.open(sys.argv[1], os.O_PATH)
print("held", flush=True)
sys.stdin.readline()
path = f"/proc/self/fd/{{held}}"
attempts = {{
    "read": lambda: os.read(os.open(path, os.O_RDONLY), 10),
    "write": lambda: os.write(os.open(path, os.O_WRONLY), b"x"),
    "empty": lambda: os.open(path, os.O_WRONLY | os.O_TRUNC),
    "truncate": lambda: os.truncate(path, 1),
    "mode": lambda: os.chmod(path, 0o666),
    "owner": lambda: os.chown(path, -1, os.getgid()),
    "times": lambda: os.utime(path, ns=(1, 2)),
    "set attribute": lambda: os.setxattr(path, "user.key", b"other"),
    "get attribute": lambda: os.getxattr(path, "user.key"),
    "remove attribute": lambda: os.removexattr(path, "user.key"),
}}
try:
    print("did", attempts[sys.argv[2]]())
except OSError as error:
    print("refused", error.errno)
"""


@pytest.mark.root("it becomes another user")
@pytest.mark.parametrize("name", list(FILES.keys() - {"append"}))
def test_a_file_put_beneath_is_touched_with_the_rights_of_the_caller(
    name: str, exact: Side, tmp_path: Path
) -> None:
    victim = exact.root / "victim"
    victim.write_bytes(b"theirs")
    os.chown(victim, OTHER, OTHER)
    os.setxattr(victim, "user.key", b"theirs")
    with subprocess.Popen(
        [sys.executable, "-c", ATTEMPTS, victim, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as attacker:  # fmt: skip
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == "held\n"
        os.rename("victim", "away", src_dir_fd=exact.beneath, dst_dir_fd=exact.beneath)
        secret = _outside(tmp_path, "file")
        secret.chmod(0o600)
        os.link(secret, "victim", dst_dir_fd=exact.beneath)
        before = _state(secret)
        said, _error = attacker.communicate("\n")
    after = _state(secret)
    for left in ("victim", "away"):
        os.unlink(left, dir_fd=exact.beneath)
    assert after == before
    assert said.startswith("refused"), said


OPENER = """
import os, sys
held = os.open(sys.argv[1], os.O_PATH)
print("held", flush=True)
sys.stdin.readline()
try:
    os.open(f"/proc/self/fd/{held}", os.O_RDONLY)
except OSError:
    pass
print("went on")
"""


def test_a_fifo_put_beneath_stops_nobody(mirrored: tuple[Path, int]) -> None:
    root, beneath = mirrored
    (root / "victim").touch()
    with subprocess.Popen(
        [sys.executable, "-c", OPENER, root / "victim"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as opener:  # fmt: skip
        assert opener.stdout is not None
        assert opener.stdout.readline() == "held\n"
        os.unlink("victim", dir_fd=beneath)
        os.mkfifo("victim", dir_fd=beneath)
        try:
            said, _error = opener.communicate("\n", timeout=600)
        finally:
            os.close(os.open("victim", os.O_RDWR | os.O_NONBLOCK, dir_fd=beneath))  # lets whoever waits go
    assert said == "went on\n"
