"""Opening: flags by kinds of target by users, and what the flags do afterwards."""

# The system calls themselves are what is tested, with whatever they give:
# ruff: noqa: PTH108, PTH211
from __future__ import annotations

import os
from typing import TYPE_CHECKING

from probe import OTHER, Probe, case

if TYPE_CHECKING:
    from collections.abc import Callable

MODES = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}
EXTRAS = {
    "": 0, "creat": os.O_CREAT, "excl": os.O_CREAT | os.O_EXCL, "trunc": os.O_TRUNC, "append": os.O_APPEND,
    "creat+trunc": os.O_CREAT | os.O_TRUNC, "directory": os.O_DIRECTORY, "nofollow": os.O_NOFOLLOW,
    "creat+nofollow": os.O_CREAT | os.O_NOFOLLOW, "path": os.O_PATH, "sync": os.O_SYNC, "noatime": os.O_NOATIME,
    "excl+trunc": os.O_CREAT | os.O_EXCL | os.O_TRUNC, "creat+directory": os.O_CREAT | os.O_DIRECTORY,
}  # fmt: skip
TARGETS = (
    "missing", "file", "folder", "link", "dangling", "link-to-folder", "fifo", "none", "reading", "writing", "loop",
    "absent/x", "file/x", "file/", "folder/", "missing/", "folder/.", "folder/..", "link-to-folder/", "link-to-folder/inside",
    "locked/x", "locked", "theirs", "theirs-open",
)  # fmt: skip


def _lay(p: Probe, owner: int) -> None:
    p.file("file")
    os.mkfifo(p.at("fifo"))
    p.folder("folder")
    for name, target in {
        "link": "file",
        "dangling": "nowhere",
        "link-to-folder": "folder",
        "loop": "loop",
    }.items():
        os.symlink(target, p.at(name))
    for name, mode in {"none": 0, "reading": 0o444, "writing": 0o222}.items():
        p.file(name, mode=mode)
    p.folder("locked", mode=0)
    if owner >= 0:
        p.file("theirs", mode=0o600, owner=owner)
        p.file("theirs-open", mode=0o666, owner=owner)


def _open(p: Probe, path: bytes, flags: int) -> None:
    fd = os.open(path, flags | os.O_NONBLOCK, 0o640)
    try:
        p.note("opened", os.fstat(fd))
        p("reads", os.read, fd, 10)
        p("writes", os.write, fd, b"+")
        p("position", os.lseek, fd, 0, os.SEEK_CUR)
    finally:
        os.close(fd)


def _matrix(p: Probe, base: bytes) -> None:
    for mode, accessed in MODES.items():
        for extra, flags in EXTRAS.items():
            for target in TARGETS:
                path = base + b"/" + target.encode()
                p(f"{mode} {extra} {target}", _open, p, path, accessed | flags)
                if target == "missing":
                    p("made", os.unlink, path)
                if target == "dangling":
                    p("made", os.unlink, base + b"/nowhere")


def _in(p: Probe, name: str, owner: int, run: Callable[[], None]) -> None:
    whole = p.root
    p.folder(name, 0o777)
    p.root = p.at(name)
    _lay(p, owner)
    run()
    p.root = whole


@case
def open_matrix_of_the_owner(p: Probe) -> None:
    _in(p, "tree", -1, lambda: _matrix(p, p.root))


@case
def open_matrix_of_another_user(p: Probe) -> None:
    _in(p, "tree", OTHER, lambda: p.user(lambda: _matrix(p, p.root)))


@case
def append_goes_to_the_end(p: Probe) -> None:
    path = p.file("log", b"0123456789")
    one, two = (os.open(path, os.O_RDWR | os.O_APPEND) for _ in range(2))
    p("write", os.write, one, b"one")
    p("write", os.write, two, b"two")
    p("position", os.lseek, one, 0, os.SEEK_CUR)
    p("position", os.lseek, two, 0, os.SEEK_CUR)
    p("pwrite", os.pwrite, one, b"anywhere", 2)
    p("seek", os.lseek, one, 3, os.SEEK_SET)
    p("write", os.write, one, b"again")
    p("position", os.lseek, one, 0, os.SEEK_CUR)
    p("size", os.fstat, two)
    p("content", p.content, path)


@case
def appending_processes_do_not_overwrite_each_other(p: Probe) -> None:
    path = p.file("log", b"")
    children = []
    for number in range(4):
        child = os.fork()
        if not child:
            fd = os.open(path, os.O_WRONLY | os.O_APPEND)
            for _ in range(50):
                os.write(fd, b"%d" % number * 100)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    written = p.content(path)
    p.note("length", len(written))
    p.note("lines", [written.count(b"%d" % number * 100) for number in range(4)])
    os.unlink(path)


@case
def truncation_when_opened(p: Probe) -> None:
    path = p.file("file", b"x" * 10_000)
    reader = os.open(path, os.O_RDONLY)
    p("opened", _open, p, path, os.O_WRONLY | os.O_TRUNC)
    p("seen by the other", os.fstat, reader)
    p("read by the other", os.read, reader, 10)


@case
def exclusive_creation(p: Probe) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
    for mode in (0, 0o400, 0o4755, 0o2755, 0o1644, 0o777):
        name = f"made-{mode:o}"
        fd = p(name, os.open, p.at(name), flags, mode)
        p.note("status", os.fstat(fd or 0))
        p("again", os.open, p.at(name), flags, mode)


@case
def umask_is_the_callers(p: Probe) -> None:
    for mask in (0, 0o027, 0o077, 0o777):
        os.umask(mask)
        fd = p("open", os.open, p.at(f"file-{mask:o}"), os.O_CREAT | os.O_WRONLY, 0o666)
        p("opened", os.write, fd, b"written in spite of its mode")
        p("mkdir", os.mkdir, p.at(f"folder-{mask:o}"), 0o777)
        p("mkfifo", os.mkfifo, p.at(f"fifo-{mask:o}"), 0o666)


@case
def reopening_a_descriptor(p: Probe) -> None:
    path = p.file("file")
    fd = os.open(path, os.O_RDONLY)
    p("for writing", lambda: os.write(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), b"CON"))
    os.unlink(path)
    p("of a removed file", lambda: os.read(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY), 100))
    p(
        "through a path descriptor",
        lambda: os.open(f"/proc/self/fd/{os.open(p.at(), os.O_PATH)}/file", os.O_RDONLY),
    )


@case
def reading_moves_the_access_time(p: Probe) -> None:
    path = p.file("file")
    os.utime(path, ns=(10**18, 10**18 + 1))
    p("read", p.content, path)
    p("then", os.stat, path)
    os.utime(path, ns=(10**18, 10**18 + 1))
    fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
    p("read without", os.read, fd, 10)
    p("then", os.stat, path)
