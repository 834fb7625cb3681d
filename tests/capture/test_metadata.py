"""What a name is, answered in C: the same as the mirror says, and Python is asked for all that is not plain."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import struct
import subprocess
import sys
from ctypes import CFUNCTYPE, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import fmrw
from fmrw.capture.fuse.adapter import Context, Stat
from fmrw.capture.native.metadata import Metadata
from fmrw.capture.reports.permissions import narrowed
from fmrw.capture.system.libc import fstat_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    Compiled: TypeAlias = "Callable[..., Callbacks]"

ASKED = -errno.ENOTNAM
SUFFIXES = (b".csv", b"-heatmap.pdf")


class Callbacks:
    """The compiled callbacks for a directory, with Python's behind them that only say that they were asked."""

    def __init__(self, folder: Path, **options: Any) -> None:  # noqa: ANN401 - those of `Metadata`
        root = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        options = {"grain": 0, "switches": False, "suffixes": SUFFIXES, **options}
        found = Metadata.load(root, **options)
        assert found is not None
        self.metadata, self.root, self.folder = found, root, folder
        self.context = Context(private_data=found.address, uid=os.geteuid(), gid=os.getegid())
        described = CFUNCTYPE(c_int, c_char_p, c_void_p)
        valued = CFUNCTYPE(c_int, c_char_p, c_char_p, c_void_p, c_size_t)
        asked = described(lambda *_: ASKED), valued(lambda *_: ASKED)
        who = CFUNCTYPE(c_void_p)(lambda: ctypes.addressof(self.context))
        self.kept = asked, who
        pointers = [ctypes.cast(each, c_void_p).value for each in asked]
        table = SimpleNamespace(getattr=pointers[0], getxattr=pointers[1])
        self.free: list[None] = [None] * 2
        self.inside = found.install(table, who, self.free)
        self.describe = described(table.getattr.value)
        self.value = valued(table.getxattr.value)

    def stat(self, path: str) -> Any:  # noqa: ANN401 - a structure
        """Give what C says of a path; None where Python is asked."""
        room = ctypes.create_string_buffer(256)  # fusepy's structure ends before the kernel's
        status = Stat.from_buffer(room)
        said = self.describe(os.fsencode(path), ctypes.addressof(room))
        assert said in (0, ASKED)
        return None if said else status

    def attribute(self, path: str, name: str, size: int = 100) -> Any:  # noqa: ANN401 - bytes or a number
        room = ctypes.create_string_buffer(size)
        said = self.value(os.fsencode(path), name.encode(), room if size else None, size)
        return room.raw[:said] if said > 0 and size else said


@pytest.fixture
def compiled() -> Iterator[Callable[..., Callbacks]]:
    """Give `Callbacks`, whose descriptors are closed afterwards."""
    made: list[Callbacks] = []

    def make(folder: Path, **options: Any) -> Callbacks:  # noqa: ANN401 - as above
        made.append(Callbacks(folder, **options))
        return made[-1]

    yield make
    for each in made:
        os.close(each.root)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_bytes(b"content")
    (folder / os.fsdecode(b"a/odd \xff\x1b")).write_bytes(b"")
    (folder / "link").symlink_to("a")
    (folder / "nowhere").symlink_to("/nowhere/at/all")
    (folder / "kept.csv").write_bytes(b"mine")
    (folder / ".fuse_hidden0123456789abcdef").write_bytes(b"")
    os.mkfifo(folder / "pipe")
    return folder


def test_plain_names_are_described_as_the_kernel_does(tree: Path, compiled: Compiled) -> None:
    callbacks = compiled(tree)
    names = ["/", *(f"/{path.relative_to(tree)}" for path in tree.rglob("*") if "hidden" not in path.name)]
    assert len(names) == 9
    for name in names:
        status, true = callbacks.stat(name), os.lstat(f"{tree}{name}")
        fields = ("st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blksize")
        assert [getattr(status, each) for each in fields] == [getattr(true, each) for each in fields]
        nanoseconds = status.st_mtimespec.tv_sec * 10**9 + status.st_mtimespec.tv_nsec
        assert nanoseconds == true.st_mtime_ns
    assert callbacks.metadata.answered == len(names)


def test_what_is_not_plain_is_left_to_python(tree: Path, compiled: Compiled) -> None:
    callbacks = compiled(tree)
    (tree.parent / "outside").write_bytes(b"")
    odd = (
        "/nothing",
        "/a/nothing",
        "/link/b",
        "/link/b/file",
        "/../outside",
        "/a/../../outside",
        "/.fuse_hidden0123456789abcdef",
    )
    for name in (*odd, "/a/b/file/x", f"/{'x' * 300}", f"/{'a/b/../../' * 500}a/b/file", "no path"):
        assert callbacks.stat(name) is None, name
        assert callbacks.attribute(name, "user.x") == ASKED, name
    assert callbacks.attribute("/kept.csv", "user.x") == ASKED, "it may be the name of a report"
    assert callbacks.attribute("/.fmrw/a", "user.x") == ASKED
    assert callbacks.metadata.answered == 0


def test_files_of_other_file_systems_are_left_to_python(compiled: Compiled) -> None:
    callbacks = compiled(Path("/"))
    assert callbacks.stat("/etc") is not None
    assert callbacks.stat("/proc") is None, "its inode numbers are those of another device"


def test_the_grain_is_that_of_regular_files(tree: Path, compiled: Compiled) -> None:
    callbacks = compiled(tree, grain=16)
    assert callbacks.stat("/a/b/file").st_blksize == 16
    assert callbacks.stat("/a/b").st_blksize == (tree / "a" / "b").stat().st_blksize


def test_attributes_are_those_of_the_file_itself(tree: Path, compiled: Compiled) -> None:
    file = tree / "a" / "b" / "file"
    os.setxattr(file, "user.some", b"value")
    callbacks = compiled(tree)
    assert callbacks.attribute("/a/b/file", "user.some") == b"value"
    assert callbacks.attribute("/a/b/file", "user.some", 0) == 5
    assert callbacks.attribute("/a/b/file", "user.none") == -errno.ENODATA
    assert callbacks.attribute("/a/b/file", "user.some", 3) == ASKED, "Python says ERANGE"
    assert callbacks.metadata.answered == 3


def test_the_rights_of_others_are_left_to_python(tree: Path, compiled: Compiled) -> None:
    os.setxattr(tree / "a", "user.some", b"value")
    callbacks = compiled(tree, switches=True)
    assert callbacks.attribute("/a", "user.some") == b"value"
    callbacks.context.uid += 1
    assert callbacks.attribute("/a", "user.some") == ASKED
    assert callbacks.attribute("/a", "system.posix_acl_access") == -errno.ENODATA, "the kernel itself asks"


def test_where_no_thread_is_left_python_begins(tree: Path, compiled: Compiled) -> None:
    callbacks = compiled(tree)
    assert callbacks.stat("/a") is not None
    callbacks.free.pop()
    assert callbacks.stat("/a") is None, "it would start a thread"
    assert callbacks.attribute("/a", "user.x") == ASKED
    callbacks.free.extend([None] * 100)
    assert callbacks.stat("/a") is not None
    callbacks.inside.value = len(callbacks.free) - 1
    assert callbacks.stat("/a") is None
    assert callbacks.inside.value == len(callbacks.free) - 1, "what is counted is taken back"


def test_more_reports_than_it_can_know_are_left_to_python(tree: Path) -> None:
    root = os.open(tree, os.O_PATH | os.O_DIRECTORY)
    options = {"grain": 0, "switches": False}
    assert Metadata.load(root, suffixes=[b".a", b".b", b".c", b".d", b".e"], **options) is None
    assert Metadata.load(root, suffixes=[b"." + b"x" * 40], **options) is None
    os.close(root)


READ = {"x86_64": 0, "aarch64": 63}.get(platform.machine())
"""Number of read(2), in which a waiting program can be held."""


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """Give a program that waits in read(2), for its standard input: while it starts, it may wait for a disk there."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        line = Path(f"/proc/{child.pid}/syscall")
        while not line.read_bytes().startswith(b"%d 0x0 " % (READ or 0)):
            os.sched_yield()
        yield child
        child.kill()


reading = pytest.mark.skipif(READ is None, reason="the number of read(2) is not known here")


@reading
def test_reports_are_described_for_threads_that_only_look(
    tree: Path, compiled: Compiled, waiting: subprocess.Popen[bytes]
) -> None:
    (tree / "a" / "b" / "file").chmod(0o640)
    callbacks = compiled(tree, looks=[READ])
    reports = callbacks.metadata.reports
    assert reports is not None
    callbacks.context.pid = waiting.pid
    assert callbacks.stat("/a/b/file.csv") is None, "Python says it first"
    reports.know(waiting.pid)
    true = (tree / "a" / "b" / "file").lstat()
    for number, suffix in enumerate(SUFFIXES):
        status = callbacks.stat(f"/a/b/file{suffix.decode()}")
        inode = 1 << 63 | true.st_ino << 4 & ((1 << 63) - 1) | number
        told = (status.st_mode, status.st_nlink, status.st_size, status.st_blocks, status.st_ino)
        assert told == (stat.S_IFREG | 0o440, 1, 0, 0, inode)
        assert (status.st_uid, status.st_gid) == (true.st_uid, true.st_gid)
        assert status.st_mtimespec.tv_sec == int(true.st_mtime)
    assert callbacks.stat("/kept.csv").st_size == 4, "a real file wins"
    for name in (
        "/nothing.csv",
        "/a.csv",
        "/link.csv",
        "/pipe.csv",
        "/.csv",
        "/a/.csv",
        "/a/b/file.txt",
        "/link/b/file.csv",
    ):
        assert callbacks.stat(name) is None, name
    (tree / "a" / "b" / "file").chmod(0o274)
    assert stat.S_IMODE(callbacks.stat("/a/b/file.csv").st_mode) == narrowed(0o274, 0o444) == 0o044
    (tree / "a" / "b" / "file").chmod(0o637)
    assert stat.S_IMODE(callbacks.stat("/a/b/file.csv").st_mode) == narrowed(0o637, 0o444) == 0o400
    waiting.kill()
    waiting.wait()
    assert callbacks.stat("/a/b/file.csv") is None, "its id may be another's now"


@reading
def test_reports_have_no_attributes_of_their_own(
    tree: Path, compiled: Compiled, waiting: subprocess.Popen[bytes]
) -> None:
    file = tree / "a" / "b" / "file"
    os.setxattr(file, "user.some", b"value")
    os.setxattr(tree / "kept.csv", "user.some", b"value")
    callbacks = compiled(tree, looks=[READ])
    callbacks.context.pid = waiting.pid
    assert callbacks.attribute("/a/b/file.csv", "user.some") == ASKED
    assert callbacks.attribute("/kept.csv", "user.some") == b"value", "a real file wins"
    callbacks.metadata.reports.know(waiting.pid)
    assert callbacks.attribute("/a/b/file.csv", "user.some") == -errno.ENODATA
    assert callbacks.attribute("/a/b/file.csv", "system.posix_acl_access") == -errno.ENODATA
    assert callbacks.attribute("/nothing.csv", "user.some") == ASKED
    assert callbacks.attribute("/a.csv", "user.some") == ASKED
    entries = [
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 1),
        (0x04, 4, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    ]
    access = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(file, "system.posix_acl_access", access)
    assert callbacks.attribute("/a/b/file.csv", "system.posix_acl_access") == ASKED, "Python narrows it"


@reading
def test_other_callers_and_odd_reports_are_left_to_python(
    tree: Path, compiled: Compiled, waiting: subprocess.Popen[bytes]
) -> None:
    asking = compiled(tree, looks=[READ + 1])
    assert asking.metadata.reports is not None
    asking.metadata.reports.know(waiting.pid)
    asking.context.pid = waiting.pid
    assert asking.stat("/a/b/file.csv") is None, "it may want to make a name"
    callbacks = compiled(tree, looks=[READ])
    reports = callbacks.metadata.reports
    assert reports is not None
    reports.know(waiting.pid)
    callbacks.context.pid = 0
    assert callbacks.stat("/a/b/file.csv") is None, "a caller that has no number here"
    callbacks.context.pid = waiting.pid
    reports.leave(b"/a/b/file.csv")
    assert callbacks.stat("/a/b/file.csv") is None
    assert callbacks.attribute("/a/b/file.csv", "user.x") == ASKED
    assert callbacks.stat("/a/b/file-heatmap.pdf") is not None
    for number in range(256):
        reports.leave(b"/%d.csv" % number)
    assert callbacks.stat("/a/b/file-heatmap.pdf") is None, "more than it can keep: all are Python's"


@reading
def test_no_descriptor_is_left(tree: Path, compiled: Compiled, waiting: subprocess.Popen[bytes]) -> None:
    def looking() -> list[str]:
        opened = map(os.path.realpath, Path("/proc/self/fd").iterdir())
        return [place for place in opened if place.endswith(f"/{waiting.pid}/syscall")]

    reports = compiled(tree, looks=[READ]).metadata.reports
    assert reports is not None
    reports.know(waiting.pid)
    reports.know(waiting.pid)
    assert len(looking()) == 1
    reports.close()
    assert not looking()


Entries = list[tuple[bytes, int, int]]


def handed_over(callbacks: Callbacks, *, reports: bool, most: int = 1000) -> tuple[int | None, Entries]:
    """Give what C says of a listing, and its entries: names, inode numbers, types."""
    entries: Entries = []

    def take(_buffer: int, name: bytes, status: int, _offset: int) -> int:
        found = Stat.from_address(status)
        entries.append((name, found.st_ino, stat.S_IFMT(found.st_mode)))
        return int(len(entries) >= most)

    fill = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, c_int64)(take)
    fd = os.open(callbacks.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        address = ctypes.cast(fill, c_void_p).value or 0
        said = callbacks.metadata.hand_over(fd, 5, 6, reports=reports, buffer=0, fill=address)
    finally:
        os.close(fd)
    return said, entries


def test_a_directory_is_listed_as_the_kernel_does(tree: Path, compiled: Compiled) -> None:
    said, entries = handed_over(compiled(tree), reports=False)
    kinds = {"a": stat.S_IFDIR, "link": stat.S_IFLNK, "nowhere": stat.S_IFLNK, "kept.csv": stat.S_IFREG}
    kinds |= {".fuse_hidden0123456789abcdef": stat.S_IFREG, "pipe": 0}
    assert said == 0
    assert entries[:2] == [(b".", 5, stat.S_IFDIR), (b"..", 6, stat.S_IFDIR)]
    assert sorted(entries[2:]) == sorted(
        (name.encode(), (tree / name).lstat().st_ino, kind) for name, kind in kinds.items()
    )
    said, entries = handed_over(compiled(tree), reports=False, most=3)
    assert (said, len(entries)) == (-errno.ENOMEM, 3)


def test_reports_stand_behind_their_files(tree: Path, compiled: Compiled) -> None:
    (tree / "kept").write_bytes(b"")
    (tree / f"{'x' * 250}").write_bytes(b"")  # one of the two names would be too long
    assert handed_over(compiled(tree), reports=True)[0] is None, "Python alone knows of reports here"
    callbacks = compiled(tree, looks=[0])
    said, entries = handed_over(callbacks, reports=True)
    names = [name.decode() for name, _inode, _kind in entries]
    assert said == 0
    assert names[names.index("kept") + 1] == "kept-heatmap.pdf", "kept.csv is real"
    assert names.count("kept.csv") == 1
    after = names.index("kept.csv") + 1
    assert names[after : after + 2] == ["kept.csv.csv", "kept.csv-heatmap.pdf"]
    assert "x" * 250 + ".csv" in names
    assert "x" * 250 + "-heatmap.pdf" not in names
    assert not {"a.csv", "link.csv", "pipe.csv"} & {*names}
    inode = (tree / "kept").stat().st_ino
    assert (b"kept-heatmap.pdf", 1 << 63 | inode << 4 & ((1 << 63) - 1) | 1, stat.S_IFREG) in entries
    for number in range(64):
        (tree / f"{number}.csv").write_bytes(b"")
    assert handed_over(callbacks, reports=True) == (None, []), "more real names than it keeps"
    for number in range(64):
        (tree / f"{number}.csv").unlink()
    assert callbacks.metadata.reports is not None
    callbacks.metadata.reports.leave(b"/kept-heatmap.pdf")
    assert handed_over(callbacks, reports=True) == (None, []), "it was removed, perhaps"


SCANNED = """
import os, sys
for folder, _folders, _files in os.walk(sys.argv[1]):
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        print(repr(entry.name), entry.inode(), entry.is_file(follow_symlinks=False), entry.is_dir(), entry.is_symlink())
"""


@pytest.mark.mount
@pytest.mark.parametrize("reports", ["off", "hidden", "beside", "aside"])
def test_a_mount_lists_the_same_with_and_without_it(
    tree: Path, reports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (tree / "a" / f"{number:03}").write_bytes(b"")
    listings = []
    for native in ("0", "1"):
        monkeypatch.setenv("FMRW_NATIVE", native)
        with fmrw.mount(tree, reports=reports):  # type: ignore[arg-type]  # a parameter
            listings.append(
                subprocess.run([sys.executable, "-c", SCANNED, tree], capture_output=True, check=True).stdout
            )
    assert listings[0] == listings[1]
    assert (b"'299.csv'" in listings[1]) is (reports == "beside")


LISTED = """
import os, sys
for folder, folders, files in os.walk(sys.argv[1]):
    for name in sorted(folders + files):
        path = os.path.join(folder, name)
        status = os.lstat(path)
        told = status.st_mode, status.st_nlink, status.st_size, status.st_mtime_ns, status.st_ino
        print(repr(name), told if sys.argv[2:] else told[:4], os.listxattr(path, follow_symlinks=False))
"""


@pytest.mark.mount
@pytest.mark.parametrize("native", ["0", "1"])
@pytest.mark.parametrize("reports", ["beside", "aside"])
def test_a_mount_says_the_same_with_and_without_it(
    tree: Path, native: str, reports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / ".fuse_hidden0123456789abcdef").unlink()
    monkeypatch.setenv("FMRW_NATIVE", native)

    def listed() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", LISTED, tree, "inodes"], capture_output=True, text=True, check=True
        )
        return [
            line for line in done.stdout.splitlines() if "-heatmap.pdf" not in line and "file.csv" not in line
        ]

    def plain(lines: list[str]) -> list[str]:
        return [line for line in lines if ".csv'" not in line or "kept.csv'" in line]

    before = plain(listed())
    with fmrw.mount(tree, reports=reports):  # type: ignore[arg-type]  # a parameter
        assert plain(listed()) == before
        assert (tree / "kept.csv").read_bytes() == b"mine"
        shown = {path.name for path in tree.iterdir()}
        assert ("kept.csv.csv" in shown) is (reports == "beside")
        assert (tree / "kept.csv.csv").exists() is (reports == "beside")
        with (tree / "a" / "b" / "file").open("rb") as file:
            (tree / "a" / "b" / "file").unlink()
            assert os.fstat(file.fileno()).st_nlink == 0
            assert not (tree / "a" / "b" / "file").exists()
            assert file.read() == b"content"


def test_a_status_has_room_for_all_that_is_written_into_it(tmp_path: Path) -> None:
    mark, room = 0xA5, 512
    buffer = (ctypes.c_ubyte * room)(*[mark] * room)
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        fstat_into(fd, ctypes.addressof(buffer))
        assert Stat.from_buffer(buffer).st_ino == os.fstat(fd).st_ino
    finally:
        os.close(fd)
    written = max(place for place, value in enumerate(buffer) if value != mark) + 1
    assert written <= ctypes.sizeof(Stat)
