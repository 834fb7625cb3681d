"""Links and path components swapped beneath a mount while calls go through it: none of them may leave the directory.

The attacker holds a descriptor of the directory from before the mount and exchanges `dir` with a link to a folder outside
that holds the same names, thousands of times a second. The one who uses the mount follows no link himself, so
whatever reaches the outside was led there by the worker.
"""

# ruff: noqa: PTH101

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fmrw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.mount

OTHER = 54321
SECRET = b"SECRET"
_MOST_S = 600  # until something was raced, on a machine that has other things to do
SWAPPER = Path(__file__).with_name("swapper.py")
ROOT = os.geteuid() == 0
NOFOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC


class Arena:
    """A directory that is the attacker's, a mount over it, and what lies outside."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.inside, self.outside = base / "inside", base / "outside"
        for folder in (self.inside / "dir", self.outside):
            folder.mkdir(parents=True)
            (folder / "victim").write_bytes(b"harmless" if folder != self.outside else SECRET)
            (folder / "victim").chmod(0o600)
        (self.inside / "link").symlink_to(self.outside)
        if ROOT:
            for path in (self.inside, self.inside / "dir", self.inside / "dir" / "victim"):
                os.chown(path, OTHER, OTHER)
            os.lchown(self.inside / "link", OTHER, OTHER)
        self.beneath = os.open(self.inside, os.O_RDONLY | os.O_DIRECTORY)
        self.before = self.state()

    def state(self) -> list[Any]:
        """Describe everything outside; reading it changes nothing that is described."""
        found: list[Any] = []
        for path in (self.outside, *sorted(self.outside.iterdir())):
            status = path.lstat()
            facts = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_size,
                status.st_nlink,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
            found.append((path.name, facts, os.listxattr(path)))
        return found

    @contextmanager
    def attacked(self, *names: str) -> Iterator[int]:
        """Let the attacker swap these names, as somebody without rights where we can choose; give what can be read once it has swapped often."""
        user = OTHER if ROOT else os.getuid()
        with subprocess.Popen(
            [sys.executable, SWAPPER, str(user), str(self.beneath), *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            pass_fds=[self.beneath], cwd="/", bufsize=0,
        ) as attacker:  # fmt: skip
            try:
                assert attacker.stdout.readline() == b"begun\n"
                yield attacker.stdout.fileno()
            finally:
                said = attacker.communicate()[0].split()
        assert said[0] == b"enough", "the attacker did not get to swap anything"


@pytest.fixture
def arena() -> Iterator[Arena]:
    base = Path(tempfile.mkdtemp(prefix="race-"))
    base.chmod(0o755)
    arena = Arena(base)
    yield arena
    os.close(arena.beneath)
    shutil.rmtree(base)


def _by_path_descriptor(folder: int, action: Callable[[str], Any]) -> None:
    """Do something with the victim itself: a descriptor that is only a name, then its magic link."""
    fd = os.open("victim", os.O_PATH | NOFOLLOW, dir_fd=folder)
    try:
        action(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _read(folder: int) -> None:
    fd = os.open("victim", os.O_RDONLY | NOFOLLOW, dir_fd=folder)
    try:
        assert os.read(fd, 100) != SECRET, "read from outside"
    finally:
        os.close(fd)


def _write(folder: int) -> None:
    os.close(os.open("victim", os.O_WRONLY | os.O_TRUNC | NOFOLLOW, dir_fd=folder))


def _create(folder: int) -> None:
    os.close(os.open("made", os.O_CREAT | os.O_EXCL | os.O_WRONLY | NOFOLLOW, 0o600, dir_fd=folder))


def _list(folder: int) -> None:
    assert "outside-only" not in os.listdir(folder), "listed the outside"


OPERATIONS: dict[str, tuple[Callable[[int], Any], ...]] = {
    "open": (_read, _write, _create, _list),
    "change": (
        lambda folder: _by_path_descriptor(folder, lambda path: os.chmod(path, 0o640)),
        lambda folder: os.chown("victim", OTHER, OTHER, dir_fd=folder, follow_symlinks=False),
        lambda folder: os.utime("victim", ns=(0, 0), dir_fd=folder, follow_symlinks=False),
        lambda folder: _by_path_descriptor(folder, lambda path: os.truncate(path, 0)),
        lambda folder: _by_path_descriptor(folder, lambda path: os.setxattr(path, "user.key", b"x")),
        lambda folder: _by_path_descriptor(folder, lambda path: os.removexattr(path, "user.key")),
    ),
    "rename": (
        lambda folder: os.rename("victim", "moved", src_dir_fd=folder, dst_dir_fd=folder),
        lambda folder: os.rename("moved", "victim", src_dir_fd=folder, dst_dir_fd=folder),
        lambda folder: os.link(
            "victim", "linked", src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False
        ),
        lambda folder: os.unlink("linked", dir_fd=folder),
        lambda folder: os.symlink("x", "symlinked", dir_fd=folder),
        lambda folder: os.unlink("symlinked", dir_fd=folder),
        lambda folder: os.mkdir("made", dir_fd=folder),
        lambda folder: os.rmdir("made", dir_fd=folder),
        lambda folder: os.mkfifo("fifo", dir_fd=folder),
        lambda folder: os.unlink("fifo", dir_fd=folder),
    ),
}


def _hammer(
    root: Path, operations: tuple[Callable[[int], Any], ...], seconds: float, enough: int
) -> tuple[int, int]:
    """Do them all, again and again, until names were swapped often, and some got through and some failed; give how many did."""
    succeeded = failed = 0
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds or (
        passed < _MOST_S and not (succeeded and failed and select.select([enough], [], [], 0)[0])
    ):
        for operation in operations:
            try:
                folder = os.open(root / "dir", os.O_RDONLY | os.O_DIRECTORY | NOFOLLOW)
            except OSError:
                continue  # a link at this moment
            try:
                operation(folder)
                succeeded += 1
            except OSError:
                failed += 1
            finally:
                os.close(folder)
    return succeeded, failed


def _race(arena: Arena, group: str, seconds: float) -> tuple[int, int]:
    """Let them race; give how many calls succeeded, and how many met a swapped name."""
    (arena.outside / "outside-only").touch()
    arena.before = arena.state()
    with fmrw.mount(arena.inside, reports="hidden", allow_other=ROOT) as mount:
        with arena.attacked("dir", "link") as enough:
            succeeded, failed = _hammer(arena.inside, OPERATIONS[group], seconds, enough)
        assert mount.facts()["faults"] == 0
    assert arena.state() == arena.before, "something outside was changed"
    assert succeeded, "nothing got through: the race proves nothing"
    assert failed, "no call met a swapped name: the race proves nothing"
    return succeeded, failed


@pytest.mark.parametrize("group", OPERATIONS)
def test_nothing_leaves_the_directory(group: str, arena: Arena) -> None:
    _race(arena, group, 3)


@pytest.mark.soak
@pytest.mark.parametrize("group", OPERATIONS)
def test_nothing_leaves_the_directory_for_long(
    group: str, arena: Arena, record_property: Callable[[str, object], None]
) -> None:
    succeeded, failed = _race(arena, group, 10 * len(OPERATIONS[group]))
    record_property("calls that succeeded", succeeded)
    record_property("that met a swapped name", failed)


READER = """
import os, select, sys, time
sys.path.insert(0, sys.argv[4])
from swapper import become
become(int(sys.argv[3]))
seconds, most = map(float, sys.argv[2].split(","))
opened = denied = 0
begun = time.monotonic()
while (passed := time.monotonic() - begun) < seconds or (
    passed < most and not (opened and denied and select.select([0], [], [], 0)[0])
):
    try:
        fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        denied += 1
        continue
    opened += 1
    if os.read(fd, 100) == b"SECRET":
        sys.exit("read what was forbidden")
    os.close(fd)
    for attempt in (lambda: os.chmod(sys.argv[1], 0o666), lambda: os.truncate(sys.argv[1], 0), lambda: os.setxattr(sys.argv[1], "user.k", b"")):
        try:
            attempt()
        except OSError:
            denied += 1
print(opened, denied)
"""


def _forbidden(arena: Arena, seconds: float) -> None:
    mine, roots = arena.inside / "mine", arena.inside / "roots"
    mine.write_bytes(b"harmless")
    roots.write_bytes(SECRET)
    os.chown(mine, OTHER, OTHER)
    roots.chmod(0o600)
    secret = roots.stat()
    with (
        fmrw.mount(arena.inside, reports="hidden", allow_other=True),
        arena.attacked("mine", "roots") as enough,
    ):
        done = subprocess.run(
            [sys.executable, "-c", READER, mine, f"{seconds},{_MOST_S}", str(OTHER), SWAPPER.parent],
            stdin=enough, capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    opened, denied = map(int, done.stdout.split())
    assert opened, "nothing was ever opened: the race proves nothing"
    assert denied, "nothing was ever denied: the race proves nothing"
    found = next(path for path in (mine, roots) if path.stat().st_ino == secret.st_ino)
    assert found.read_bytes() == SECRET
    assert (found.stat().st_mode, os.listxattr(found)) == (secret.st_mode, [])


@pytest.mark.root("two users are needed")
def test_a_file_put_in_place_after_the_check_is_checked_too(arena: Arena) -> None:
    _forbidden(arena, 3)


@pytest.mark.soak
@pytest.mark.root("two users are needed")
def test_a_file_put_in_place_after_the_check_is_checked_for_long(arena: Arena) -> None:
    _forbidden(arena, 30)
