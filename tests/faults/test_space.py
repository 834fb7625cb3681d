"""Full disks and failing ones: the program sees what the directory alone would have shown it, and losses are told."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from processes import Cast, eventually, fmrw, kill, mounted, needs_root, small_disk

import fmrw as package
from fmrw.capture.recorder import journal as log
from fmrw.errors import SessionError
from fmrw.session.loading import load
from fmrw.trace import store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.mount, needs_root]

# A full disk under the data

FILL = """
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | int(sys.argv[2]), 0o600)
written = 0
while True:
    try:
        written += os.write(fd, b"%08d" % (written // 8) * 1 + b"x" * 3001)
    except OSError as error:
        print(written, errno.errorcode[error.errno])
        break
"""


def fill(file: Path, flags: int = 0) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", FILL, file, str(flags)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return done.stdout.split()


@pytest.mark.parametrize("capture", ["exact", "paged", "cached"])
@pytest.mark.parametrize("flags", [0, os.O_APPEND], ids=["write", "append"])
def test_a_full_disk_takes_and_refuses_the_same_bytes(tmp_path: Path, capture: str, flags: int) -> None:
    with small_disk(tmp_path / "plain", "1m") as plain:
        expected = fill(plain / "data", flags)
        content = (plain / "data").read_bytes()
    with small_disk(tmp_path / "watched", "1m") as disk, package.mount(disk, capture=capture) as mount:
        assert fill(disk / "data", flags) == expected
        assert (disk / "data").read_bytes() == content
        (disk / "data").unlink()
        eventually(lambda: os.statvfs(disk).f_bavail, "room, when the kernel has told of the last close")
        (disk / "again").write_bytes(b"there is room again")
    written = mount.trace.events.filter(pl.col("op") == "write", pl.col("path") == "data")
    assert (written["end"] - written["start"]).sum() == int(expected[0])
    assert written["errno"].to_list()[-1] == errno.ENOSPC


# A full disk under the session


@contextmanager
def stuffed(disk: Path, left: int) -> Iterator[Path]:
    """Leave only so much room on a disk."""
    ballast = disk / "ballast"
    room = os.statvfs(disk)
    with ballast.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_frsize - left, 1))
        file.seek(0, os.SEEK_END)
        with contextlib.suppress(OSError):  # what statvfs did not count
            while not left:
                file.write(bytes(4096))
    yield ballast
    ballast.unlink(missing_ok=True)


READS = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for line in sys.stdin:
    for _ in range(int(line)):
        assert os.pread(fd, 8, 16) == bytes(range(16, 24))
    print("done", flush=True)
"""


def status_of(root: Path) -> dict[str, object]:
    rows = json.loads(fmrw("status", "--json"))
    (row,) = [row for row in rows if row["root"] == str(root)]
    return row


def test_a_full_disk_under_the_session_is_counted_told_and_got_over(
    cast: Cast, folder: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", "40m") as disk:
        with stuffed(disk, 5 << 20) as ballast, package.mount(folder, output=disk / "session") as mount:
            program = cast.program(READS, folder / "file")
            program.tell("1000")
            assert program.line() == "done"
            row = status_of(folder)
            assert row["lost"] == 1001  # with its open
            assert row["events"] == 0
            assert "1,001 events were lost" in " ".join(row["notes"])
            ballast.unlink()
            eventually(lambda: _one_read(program, mount), "events are recorded again", within_s=60)
            lost = int(status_of(folder)["lost"])
            program.tell("500")
            assert program.line() == "done"
            assert program.finish()[0] == 0
            assert status_of(folder)["lost"] == lost
        trace = load(disk / "session")
        assert trace.facts["lost"] == lost
        assert trace.events.height == trace.facts["events"] >= 500
        assert set(trace.events["path"]) == {"file"}  # names that were noted without room are there


def _one_read(program: object, mount: package.Mount) -> bool:
    program.tell("1")
    assert program.line() == "done"
    return mount.trace.events.height > 0


def test_a_disk_that_fills_up_later_loses_only_what_comes_then(
    cast: Cast, folder: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small", "40m") as disk, stuffed(disk, 9 << 20) as ballast:
        with package.mount(folder, output=disk / "session") as mount:
            program = cast.program(READS, folder / "file")
            more = log.SEGMENT + 300
            program.tell(str(more))
            assert program.line() == "done"
            assert program.finish()[0] == 0
            ballast.unlink()
        trace = mount.trace
        assert trace.events.height + trace.facts["lost"] == more + 2
        assert trace.facts["lost"] == 302


def test_sealing_without_room_says_so_and_keeps_the_journal(folder: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "40m") as disk:
        mount = package.mount(folder, output=disk / "session")
        (folder / "file").read_bytes()
        with stuffed(disk, 0):
            kill(mount.worker_pid)  # or it would give back what its last segment does not need
            eventually(lambda: not mounted(folder), "plain again", within_s=60)
            with pytest.raises(SessionError, match="the journal is kept and loads"):
                mount.unmount()
            assert not mounted(folder)
            assert not list((disk / "session").glob(".*"))
            before = load(disk / "session").events
        assert before.equals(mount.trace.events)
        store.seal(disk / "session")
        assert load(disk / "session").events.equals(before)


def test_no_room_for_a_session_is_said_before_anything_is_mounted(folder: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "1m") as disk, stuffed(disk, 0):
        said = fmrw("run", folder, "-o", disk / "session", "--", "true", status=1)
    assert said.count("\n") == 1
    assert "make room" in said or "choose" in said
    assert not mounted(folder)


# A file system that fails


@pytest.fixture
def failing(tmp_path: Path, cast: Cast) -> Iterator[tuple[Path, Path]]:
    """A watched directory on a faulty file system, and the file that orders its faults."""
    source, point = tmp_path / "source", tmp_path / "faulty"
    source.mkdir()
    point.mkdir()
    (source / "data").write_bytes(bytes(range(256)) * 1024)
    server = subprocess.Popen([sys.executable, Path(__file__).with_name("faulty.py"), source, point])
    try:
        eventually(lambda: os.path.ismount(point), "the faulty file system is there")
        yield point, source / ".fault"
    finally:
        del cast
        subprocess.run(["fusermount3", "-uz", point], check=True)
        server.wait()


@contextmanager
def fault(order: Path, name: str) -> Iterator[None]:
    order.write_text(name)
    yield
    order.unlink()


def errno_of(action: object) -> int:
    try:
        action()
    except OSError as error:
        return error.errno
    return 0


ACTIONS = {
    "read": lambda root: os.pread(_opened(root / "data", os.O_RDONLY), 4096, 100_000),
    "read before": lambda root: os.pread(_opened(root / "data", os.O_RDONLY), 4096, 0),
    "write": lambda root: os.pwrite(_opened(root / "data", os.O_WRONLY), b"x" * 10, 100_000),
    "create": lambda root: os.close(os.open(root / "new", os.O_CREAT | os.O_WRONLY, 0o600)),
    "truncate": lambda root: os.truncate(root / "data", 200_000),
    "mkdir": lambda root: (root / "folder").mkdir(),
    "unlink": lambda root: (root / "nothing").unlink(),
    "fsync": lambda root: os.fsync(_opened(root / "data", os.O_WRONLY)),
    "close": lambda root: os.close(os.open(root / "data", os.O_WRONLY)),
}
_open: list[int] = []


def _opened(path: Path, flags: int) -> int:
    _open.append(os.open(path, flags))
    return _open[-1]


def _close_all() -> None:
    while _open:
        fd = _open.pop()
        errno_of(lambda fd=fd: os.close(fd))


@pytest.mark.parametrize("name", ["EIO", "EROFS", "ENOSPC", "EDQUOT"])
def test_what_fails_below_fails_the_same_above(failing: tuple[Path, Path], name: str) -> None:
    root, order = failing
    plain = outcomes(root, order, name)
    with package.mount(root) as mount:
        watched = outcomes(root, order, name)
        assert (root / "data").read_bytes()[:4] == bytes(range(4))  # and it recovers
    assert watched == plain
    assert getattr(errno, name) in plain.values()
    failed = mount.trace.events.filter(pl.col("errno") == errno.EIO)
    if name == "EIO":
        assert set(failed["op"]) == {"read", "write"}
        assert (failed["start"] == failed["end"]).all()
    assert mount.trace.facts["faults"] == 0


def outcomes(root: Path, order: Path, name: str) -> dict[str, int]:
    """Do all those things while they fail; give what each said."""
    found = {}
    with fault(order, name):
        for what, action in ACTIONS.items():
            found[what] = errno_of(lambda action=action: action(root))
            _close_all()
    (root / "new").unlink(missing_ok=True)
    subprocess.run(["rm", "-rf", root / "folder"], check=True)
    return found


def test_the_good_part_of_a_read_that_fails_is_not_lost(failing: tuple[Path, Path]) -> None:
    root, order = failing
    code = "import os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); print(len(os.read(fd, 200_000)))"
    with fault(order, "EIO"):
        plain = subprocess.run(
            [sys.executable, "-c", code, root / "data"], capture_output=True, text=True, check=False
        )
        with package.mount(root) as mount:
            done = subprocess.run(
                [sys.executable, "-c", code, root / "data"], capture_output=True, text=True, check=False
            )
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    read = mount.trace.events.filter(
        pl.col("op") == "read", pl.col("path") == "data", pl.col("requested") > 0
    )
    assert read["end"].max() == int(done.stdout or 0)
