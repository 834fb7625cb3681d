"""Links: hard, symbolic, of files that are open; special files; files without a name."""

# The system calls themselves are what is tested, with whatever they give:
# ruff: noqa: PTH108, PTH208, PTH211
from __future__ import annotations

import os
import socket
import stat

from probe import Probe, call, case

AT_SYMLINK_FOLLOW = 0x400


@case
def hard_links_are_counted(p: Probe) -> None:
    path = p.file("one")
    p("second", os.link, path, p.at("two"))
    p("third", os.link, p.at("two"), p.at("three"))
    p("counted", os.stat, path)
    p("over another", os.link, path, p.at("two"))
    p("of a folder", os.link, p.folder("folder"), p.at("four"))
    p("of nothing", os.link, p.at("absent"), p.at("four"))
    p("into nothing", os.link, path, p.at("absent/four"))
    fd = os.open(path, os.O_RDWR)
    p("remove the open one", os.unlink, path)
    p("by another name", os.stat, p.at("two"))
    p("by descriptor", os.fstat, fd)
    p("written", os.write, fd, b"seen by all")
    p("all see it", p.content, p.at("three"))
    p("mode", os.fchmod, fd, 0o640)
    p("all see that", os.stat, p.at("three"))
    p("the rest", os.unlink, p.at("two"))
    p("the rest", os.unlink, p.at("three"))
    p("none left", os.fstat, fd)


@case
def renaming_over_a_hard_link_of_itself(p: Probe) -> None:
    one = p.file("one")
    os.link(one, p.at("two"))
    p("closed", os.rename, one, p.at("two"))
    p("both stay", lambda: sorted(os.listdir(p.root)))
    fd = os.open(p.at("two"), os.O_RDWR)
    p("open", os.rename, one, p.at("two"))
    p("both stay", lambda: sorted(os.listdir(p.root)))
    p("count", os.fstat, fd)


@case
def a_descriptor_becomes_a_name(p: Probe) -> None:
    fd = os.open(p.file("one"), os.O_RDONLY)
    name = f"/proc/self/fd/{fd}".encode()
    p("named", call, "linkat", -100, name, -100, p.at("two"), AT_SYMLINK_FOLLOW)
    p("two names", os.fstat, fd)
    p("removed", os.unlink, p.at("one"))
    p("removed", os.unlink, p.at("two"))
    p("none left", call, "linkat", -100, name, -100, p.at("three"), AT_SYMLINK_FOLLOW)


@case
def symbolic_links(p: Probe) -> None:
    p.folder("folder")
    p.file("folder/file")
    targets = {
        b"relative": b"folder/file", b"absolute": p.at("folder/file"), b"dangling": b"nowhere", b"odd": b"\xff/\n",
        b"up": b"../" * 40 + p.root[1:] + b"/folder", b"loop": b"loop", b"a": b"b", b"b": b"a", b"slash": b"folder/",
    }  # fmt: skip
    for name, target in targets.items():
        p("make", os.symlink, target, p.at(name))
        p("target", os.readlink, p.at(name))
        p("followed", os.stat, p.at(name))
        p("itself", os.lstat, p.at(name))
        p("opened", p.content, p.at(name))
        p("owner", os.lchown, p.at(name), os.getuid(), os.getgid())
        p("times", os.utime, p.at(name), ns=(10**18, 10**18 + 7), follow_symlinks=False)
        p("hard link", os.link, p.at(name), p.at(name + b"-linked"), follow_symlinks=False)
        p("over it", os.symlink, b"x", p.at(name))
    p("readlink of a file", os.readlink, p.at("folder/file"))
    p("empty target", os.symlink, b"", p.at("empty"))
    p("through", p.content, p.at("up/file"))


@case
def forty_links_are_one_too_many(p: Probe) -> None:
    p.file("0")
    for number in range(1, 43):
        os.symlink(str(number - 1), p.at(str(number)))
    for number in (39, 40, 41, 42):
        p(f"{number} links", p.content, p.at(str(number)))
        p("path through it", os.stat, p.at(str(number), "x"))


@case
def special_files(p: Probe) -> None:
    kinds = {"file": stat.S_IFREG, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}
    if not os.geteuid():
        kinds |= {"character": stat.S_IFCHR, "block": stat.S_IFBLK}
    for name, kind in kinds.items():
        p(f"make {name}", os.mknod, p.at(name), kind | 0o4640, os.makedev(1, 3))
        p("status", os.lstat, p.at(name))
        p("mode", os.chmod, p.at(name), 0o600)
        p("again", os.mknod, p.at(name), kind | 0o640)
        p("user attribute", os.setxattr, p.at(name), "user.key", b"value")
        p("times", os.utime, p.at(name), ns=(10**18, 10**18))
        p("rename", os.rename, p.at(name), p.at(name + "-renamed"))
        p("truncate", os.truncate, p.at(name + "-renamed"), 0)


@case
def a_fifo_carries_bytes(p: Probe) -> None:
    os.mkfifo(p.at("fifo"))
    child = os.fork()
    if not child:
        os.write(os.open(p.at("fifo"), os.O_WRONLY), b"through the mount")
        os._exit(0)
    p("read", p.content, p.at("fifo"))
    os.waitpid(child, 0)


@case
def a_socket_listens(p: Probe) -> None:
    os.chdir(p.root)  # the address has room for 108 bytes only
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        p("bind", server.bind, "socket")
        server.listen()
        p("connect", client.connect, "socket")
        p("bind again", socket.socket(socket.AF_UNIX).bind, "socket")
        p("open", os.open, "socket", os.O_RDONLY)


@case
def an_open_file_without_a_name(p: Probe) -> None:
    path = p.file("file", b"0123456789")
    fd = os.open(path, os.O_RDWR)
    p("unlink", os.unlink, path)
    p("listing", os.listdir, p.root)
    p("status", os.fstat, fd)
    p("read", os.read, fd, 4)
    p("write", os.pwrite, fd, b"abc", 20)
    p("truncate", os.ftruncate, fd, 12)
    p("mode", os.fchmod, fd, 0o604)
    p("times", os.utime, fd, ns=(10**18, 10**18 + 5))
    p("set", os.setxattr, fd, "user.key", b"value")
    p("get", os.getxattr, fd, "user.key")
    p("list", os.listxattr, fd)
    p("remove", os.removexattr, fd, "user.key")
    p("owner", os.fchown, fd, os.getuid(), os.getgid())
    p("sync", os.fsync, fd)
    p("allocate", os.posix_fallocate, fd, 0, 40)
    p("status", os.fstat, fd)
    p("content", os.pread, fd, 100, 0)
    p("a new one of that name", p.file, "file", b"another")
    p("is another", os.pread, fd, 100, 0)
    p("removed too", os.unlink, path)
    second = os.dup(fd)
    os.close(fd)
    p("by a duplicate", os.fstat, second)


@case
def many_open_files_without_a_name(p: Probe) -> None:
    handles = []
    for number in range(200):
        fd = os.open(p.at("same"), os.O_CREAT | os.O_EXCL | os.O_RDWR)
        os.write(fd, b"%d" % number)
        os.unlink(p.at("same"))
        handles.append(fd)
    p("listing", os.listdir, p.root)
    p.note("each its own", [os.pread(fd, 10, 0) for fd in handles])
    for fd in handles:
        os.close(fd)
    p("folder can go", os.rmdir, p.folder("x"))


@case
def a_file_called_like_a_hidden_one(p: Probe) -> None:
    name = ".fuse_hidden0123456789abcdef"
    p("make", p.file, name, b"mine")
    p("listed", os.listdir, p.root)
    p("content", p.content, p.at(name))
    p("rename to it", os.rename, p.file("other"), p.at(".fuse_hidden0000000000000001"))
    p("content", p.content, p.at(".fuse_hidden0000000000000001"))
    with open(p.at(name), "r+b", buffering=0) as file:  # noqa: PTH123 - bytes
        p("rename an open one to another", os.rename, p.at(name), p.at(".fuse_hidden00000000000000ff"))
        p("listed", os.listdir, p.root)
        p("write", file.write, b"still mine")
    p("content", p.content, p.at(".fuse_hidden00000000000000ff"))
    with open(p.at(".fuse_hidden00000000000000ff"), "rb") as file:  # noqa: PTH123 - the same
        p(
            "rename over an open one",
            os.rename,
            p.file("third", b"third"),
            p.at(".fuse_hidden00000000000000ff"),
        )
        p("old content", file.read)
    p("new content", p.content, p.at(".fuse_hidden00000000000000ff"))
    p("remove", os.unlink, p.at(".fuse_hidden00000000000000ff"))
