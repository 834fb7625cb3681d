"""Names: renaming, removing, lengths, listings."""

# The system calls themselves are what is tested, with whatever they give:
# ruff: noqa: PTH102, PTH106, PTH108, PTH115, PTH116, PTH208, PTH211
from __future__ import annotations

import ctypes
import os
from itertools import product
from typing import TYPE_CHECKING

from probe import Probe, case

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("missing", "file", "empty", "full", "link", "dangling", "fifo", "open", "hardlink")


def _make(p: Probe, path: bytes, kind: str, twin: bytes) -> int | None:
    match kind:
        case "file" | "open":
            p.file(os.path.relpath(path, p.root), kind.encode())
        case "empty" | "full":
            os.mkdir(path)
            if kind == "full":
                os.mkdir(path + b"/inside")
        case "link" | "dangling":
            os.symlink(twin if kind == "link" else b"nowhere", path)
        case "fifo":
            os.mkfifo(path)
        case "hardlink":
            os.link(twin, path)
    return os.open(path, os.O_RDWR) if kind == "open" else None


@case
def rename_matrix(p: Probe) -> None:
    twin = p.file("twin", b"twin")
    for old_kind, new_kind in product(KINDS, KINDS):
        label = f"{old_kind} over {new_kind}"
        p.folder(label)
        old, new = p.at(label, "old"), p.at(label, "new")
        handles = [_make(p, old, old_kind, twin), _make(p, new, new_kind, twin)]
        p(label, os.rename, old, new)
        for handle in handles:
            if handle is not None:
                p("open one", os.fstat, handle)
                p("its content", os.pread, handle, 100, 0)
                p("written", os.pwrite, handle, b"later", 0)
                os.close(handle)


@case
def rename_at_itself_and_into_itself(p: Probe) -> None:
    file, folder = p.file("file"), p.folder("folder")
    os.mkdir(folder + b"/below")
    for old, new in (
        (file, file), (folder, folder), (folder, folder + b"/below/x"), (folder + b"/below", folder),
        (folder + b"/below", p.at()), (file, file + b"/x"), (file, p.at("absent/x")), (folder + b"/", p.at("moved/")),
        (file, p.at("slash/")), (p.at("."), p.at("y")), (p.at("moved/.."), p.at("y")),
    ):  # fmt: skip
        p(f"{p.show(old)} to {p.show(new)}", os.rename, old, new)


@case
def rename_of_open_files_and_their_folder(p: Probe) -> None:
    folder = p.folder("a")
    p.file("a/file", b"0123456789")
    fd = os.open(folder + b"/file", os.O_RDWR)
    p("file", os.rename, folder + b"/file", folder + b"/renamed")
    p("folder", os.rename, folder, p.at("b"))
    p("out of it", os.rename, p.at("b/renamed"), p.at("c"))
    p("write", os.write, fd, b"ABC")
    p("chmod", os.fchmod, fd, 0o600)
    p("truncate", os.ftruncate, fd, 5)
    p("utime", os.utime, fd, ns=(10**18, 10**18))
    p("xattr", os.setxattr, fd, "user.key", b"value")
    p("status", os.fstat, fd)


@case
def replacing_a_file_others_read(p: Probe) -> None:
    path = p.file("config", b"old")
    reader = os.open(path, os.O_RDONLY)
    for number in range(20):
        p.file("config.new", b"new %d" % number)
        p("replace", os.rename, p.at("config.new"), path)
        p("listing", sorted, os.listdir(p.root))
    p("the reader still has", os.pread, reader, 10, 0)
    p("status", os.fstat, reader)
    p("others read", p.content, path)


@case
def removing(p: Probe) -> None:
    p.file("file")
    p.folder("empty")
    p.folder("full")
    p.file("full/file")
    os.symlink("full", p.at("link"))
    for function in (os.unlink, os.rmdir):
        for name in (
            "full",
            "link/",
            "absent",
            "file/",
            "empty/.",
            "full/..",
            "file/x",
            "empty",
            "link",
            "file",
        ):
            p(f"{function.__name__} {name}", function, p.at(name))


@case
def empty_right_after_close(p: Probe) -> None:
    for number in range(30):
        folder = p.folder(f"folder{number}")
        fd = os.open(folder + b"/file", os.O_CREAT | os.O_RDWR)
        p("unlink", os.unlink, folder + b"/file")
        if number % 2:
            p("while open", os.listdir, folder)
            p("remove while open", os.rmdir, folder)
            p("read and write", os.write, fd, b"still there")
            os.close(fd)
        else:
            os.close(fd)
            p("remove", os.rmdir, folder)


@case
def open_without_a_name_in_a_folder_that_moves(p: Probe) -> None:
    """A file that lost its name is the same file wherever its folder goes."""
    folder, moved = p.folder("folder"), p.at("moved")
    fd = os.open(folder + b"/file", os.O_CREAT | os.O_RDWR, 0o600)
    p("unlink", os.unlink, folder + b"/file")
    p("move", os.rename, folder, moved)
    p("listing", os.listdir, moved)
    p("mode", os.fchmod, fd, 0o640)
    p("times", os.utime, fd, ns=(10**18, 2 * 10**18))
    p("attribute", os.setxattr, fd, "user.key", b"value")
    p("size", os.ftruncate, fd, 77)
    p("status", os.fstat, fd)
    p("move back", os.rename, moved, folder)
    p("value", os.getxattr, fd, "user.key")
    os.mkdir(moved)
    p("replace the folder", os.rename, moved, folder)
    p("write", os.write, fd, b"still there")
    p("read", os.pread, fd, 20, 0)
    os.close(fd)


@case
def folders_count_the_folders_in_them(p: Probe) -> None:
    one, two = p.folder("one"), p.folder("two")
    opened = os.open(one, os.O_RDONLY | os.O_DIRECTORY)

    def both(label: str) -> None:
        for name, look in (("one", one), ("two", two), ("open", opened), ("above", p.root)):
            p(f"{label}: {name}", _links, look)

    both("empty")
    for name in (b"/a", b"/b", b"/c"):
        os.mkdir(one + name)
        both("made")
    os.mkdir(one + b"/a/deep")
    p.file("one/file")
    os.symlink("a", one + b"/link")
    both("what is no folder does not count")
    for old, new in (
        (one + b"/a", two + b"/a"), (one + b"/b", one + b"/renamed"), (one + b"/c", two + b"/a/deep"), (two + b"/a", one + b"/renamed"),
        (two, one + b"/two"), (one + b"/two", two),
    ):  # fmt: skip
        p(f"{p.show(old)} to {p.show(new)}", os.rename, old, new)
        both("moved")
    p("removed", os.rmdir, one + b"/renamed/deep")
    both("removed")
    p("full", os.rmdir, one)
    p("over an empty one", os.rename, two, p.folder("three"))
    both("replaced")


def _links(path: bytes | int) -> int:
    return os.stat(path).st_nlink


@case
def a_removed_folder_that_is_open(p: Probe) -> None:
    folder = p.folder("folder")
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    p("rmdir", os.rmdir, folder)
    p("make in it", os.open, b"x", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    p("look in it", os.stat, b"x", dir_fd=fd)


@case
def names_as_long_as_they_may_be(p: Probe) -> None:
    for length in (1, 254, 255, 256):
        name = "n" * length
        p(f"file of {length}", lambda name=name: os.close(os.open(p.at(name), os.O_CREAT | os.O_WRONLY)))
        p("stat", os.stat, p.at(name))
        p("rename", os.rename, p.at(name), p.at("m" * length))
        p("link", os.link, p.at("m" * length), p.at("l" * length))
        p("symlink", os.symlink, b"x", p.at("s" * length))
        p("mkdir", os.mkdir, p.at("d" * length))
        p("unlink", os.unlink, p.at("m" * length))
    for length in (1, 1000, 4094, 4095, 4096):
        p(f"target of {length}", os.symlink, b"t" * length, p.at(f"target-{length}"))
        p("read", lambda length=length: len(os.readlink(p.at(f"target-{length}"))))


@case
def paths_as_long_as_they_may_be(p: Probe) -> None:
    os.chdir(p.root)
    room = 4095
    step = b"d" * 200
    for length in (room - 1, room, room + 1):
        path = b"/".join([step] * 25)[: length - 2].rstrip(b"/")
        path += b"/" + b"x" * (length - len(path) - 1)
        p(f"{length}", os.stat, path)


@case
def deeper_than_a_path_reaches(p: Probe) -> None:
    os.chdir(p.root)
    for number in range(60):
        os.mkdir(b"%03d" % number + b"-" * 120)
        os.chdir(b"%03d" % number + b"-" * 120)
    fd = os.open("deep", os.O_CREAT | os.O_RDWR)
    p("file", os.write, fd, b"down here")
    p("content", p.content, b"deep")
    p("rename", os.rename, b"deep", b"deeper")
    p("chmod", os.chmod, b"deeper", 0o600)
    p("xattr", os.setxattr, b"deeper", "user.key", b"value")
    p("status", os.stat, b"deeper")
    p("listing", os.listdir, b".")
    p("unlink", os.unlink, b"deeper")
    os.close(fd)
    for number in reversed(range(60)):
        os.chdir("..")
        os.rmdir(b"%03d" % number + b"-" * 120)


@case
def names_that_are_not_text(p: Probe) -> None:
    for name in (
        b"\xff\xfe",
        b"caf\xe9",
        b"new\nline",
        b"\x01\x1b[31m",
        b"%s%n",
        b"a,b",
        b"\\x41",
        b" ",
        b"-rf",
        b"\xed\xa0\x80",
        "ünï".encode(),
    ):
        path = p.at(name)
        p("create", lambda path=path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)))
        p("status", os.stat, path)
        p("rename", os.rename, path, path + b"\xfe")
        p("mkdir", os.mkdir, path)
        p("link to", os.symlink, name, path + b"\xfd")
    p("listing", sorted, os.listdir(p.root))


@case
def a_listing_while_the_folder_changes(p: Probe) -> None:
    kept = {f"kept{number:04}" for number in range(500)}
    for name in kept:
        os.mkdir(p.at(name))
    for number in range(500):
        p.file(f"goes{number:04}", b"")
    seen: list[str] = []
    with os.scandir(os.fsdecode(p.root)) as entries:
        for count, entry in enumerate(entries):
            seen.append(entry.name)
            if count < 500:
                os.unlink(p.at(f"goes{count:04}"))
                os.mkdir(p.at(f"comes{count:04}"))
    p.note("every one that stayed, once", sorted(name for name in seen if name in kept) == sorted(kept))
    p.note("none twice", len(seen) == len(set(seen)))
    p("listed anew", lambda: sorted(os.listdir(p.root)))


@case
def a_large_folder(p: Probe) -> None:
    for number in range(3050):
        os.mknod(p.at(f"{number:05}"), 0o100644)
    with os.scandir(os.fsdecode(p.root)) as entries:
        listed = sorted((entry.name, entry.is_file(), entry.is_symlink()) for entry in entries)
    p.note("listing", listed)
    with os.scandir(os.fsdecode(p.root)) as entries:
        p.note(
            "inode numbers are true", all(entry.inode() == os.lstat(entry.path).st_ino for entry in entries)
        )
    for number in range(3050):
        os.unlink(p.at(f"{number:05}"))


@case
def removing_all_while_listing(p: Probe) -> None:
    for number in range(2100):
        os.mknod(p.at(f"{number:05}"), 0o100644)
    with os.scandir(os.fsdecode(p.root)) as entries:
        for entry in entries:
            os.unlink(entry.path)
    p("left", os.listdir, p.root)


@case
def kinds_in_a_listing(p: Probe) -> None:
    p.file("file")
    p.folder("folder")
    os.mkfifo(p.at("fifo"))
    os.symlink("file", p.at("link"))
    with os.scandir(os.fsdecode(p.root)) as entries:
        kinds = [
            (
                entry.name,
                entry.is_file(follow_symlinks=False),
                entry.is_dir(follow_symlinks=False),
                entry.is_symlink(),
            )
            for entry in entries
        ]
    p.note("kinds", sorted(kinds))
    p.note("dots are not listed twice", os.listdir(p.root).count(b"."))


@case
def dots_in_a_listing(p: Probe) -> None:
    p.folder("folder")
    p.folder("folder/inner")
    for name, parent in (("folder", "."), ("folder/inner", "folder")):
        inodes = dict(_dots(p.at(name)))
        p.note("itself", inodes[b"."] == os.lstat(p.at(name)).st_ino)
        p.note("its parent", inodes[b".."] == os.lstat(p.at(parent)).st_ino)


def _dots(path: bytes) -> Iterator[tuple[bytes, int]]:
    """Give names and inode numbers as readdir(3) does, which Python leaves out for the dots."""
    libc = ctypes.CDLL(None)
    libc.opendir.restype = libc.readdir64.restype = ctypes.c_void_p
    directory = ctypes.c_void_p(libc.opendir(path))
    while entry := libc.readdir64(directory):
        yield ctypes.string_at(entry + 19), ctypes.c_uint64.from_address(entry).value
    libc.closedir(directory)


@case
def rewinding_a_listing(p: Probe) -> None:
    fd = os.open(p.root, os.O_RDONLY | os.O_DIRECTORY)
    p.file("one")
    p("first", lambda: sorted(os.listdir(fd)))
    p.file("two")
    p("again, after rewinding", lambda: sorted(os.listdir(fd)))
    os.unlink(p.at("one"))
    p("and again", lambda: sorted(os.listdir(fd)))


@case
def a_folder_that_is_removed_while_it_is_read(p: Probe) -> None:
    path = p.folder("gone")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
    libc.readdir.argtypes = libc.dirfd.argtypes = libc.closedir.argtypes = (ctypes.c_void_p,)
    stream = libc.opendir(path)
    fd = libc.dirfd(stream)
    p("rmdir", os.rmdir, path)
    p.note("entries", libc.readdir(stream))
    p.note("why", ctypes.get_errno())
    p("fsync", os.fsync, fd)
    p("fdatasync", os.fdatasync, fd)
    p("make", os.mkdir, "new", dir_fd=fd)
    p("open", os.open, "new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    libc.closedir(stream)
