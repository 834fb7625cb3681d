"""Metadata: modes, owners, times, extended attributes, access, file system numbers."""

# The system calls themselves are what is tested, with whatever they give:
# ruff: noqa: PTH108, PTH110, PTH211
from __future__ import annotations

import ctypes
import os

from probe import OTHER, Probe, acl, call, case

UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
AT_FDCWD, AT_SYMLINK_NOFOLLOW = -100, 0x100


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64))


@case
def modes(p: Probe) -> None:
    file, folder = p.file("file"), p.folder("folder")
    for mode in (0, 0o7777, 0o4755, 0o2755, 0o2644, 0o1777, 0o100644, 0o444):
        for path in (file, folder):
            p(f"{mode:o}", os.chmod, path, mode)
            p("then", os.stat, path)
    os.symlink("file", p.at("link"))
    p("through a link", os.chmod, p.at("link"), 0o600)
    p("of nothing", os.chmod, p.at("absent"), 0o600)
    p("below a file", os.chmod, p.at("file/x"), 0o600)


@case
def owners(p: Probe) -> None:
    file, folder = p.file("file"), p.folder("folder")
    os.symlink("file", p.at("link"))
    for uid, gid in (
        (-1, -1),
        (os.getuid(), -1),
        (-1, os.getgid()),
        (OTHER, -1),
        (-1, OTHER),
        (OTHER, OTHER),
    ):
        for path in (file, folder, p.at("link"), p.at("absent")):
            p(f"{uid}:{gid}", os.chown, path, uid, gid)
            p(f"itself {uid}:{gid}", os.lchown, path, uid, gid)


@case
def a_change_of_owner_clears_set_id_bits(p: Probe) -> None:
    for mode in (0o4755, 0o2755, 0o6755, 0o2745, 0o6644):
        for uid, gid in ((-1, -1), (os.getuid(), os.getgid()), (OTHER, -1), (-1, OTHER)):
            path = p.file(f"file-{mode:o}", mode=mode)
            p(f"{mode:o} to {uid}:{gid}", os.chown, path, uid, gid)
            p("then", os.stat, path)
            os.unlink(path)
    p("folders keep them", os.chown, p.folder("folder", 0o6755), -1, os.getgid())


@case
def times_now_and_omitted(p: Probe) -> None:
    path = p.file("file")
    os.symlink("file", p.at("link"))
    moments = {
        "now": (0, UTIME_NOW),
        "omit": (0, UTIME_OMIT),
        "set": (123456789, 987654321),
        "past": (-5, 1),
        "far": (1 << 33, 3),
    }
    for name in (b"file", b"link"):
        for first, atime in moments.items():
            for second, mtime in moments.items():
                os.utime(path, ns=(10**18, 10**18 + 1))
                pair = (_Timespec * 2)(_Timespec(*atime), _Timespec(*mtime))
                p(f"{first} {second}", call, "utimensat", AT_FDCWD, p.at(name), pair, 0)
                p("then", os.stat, path)
                p("itself", call, "utimensat", AT_FDCWD, p.at(name), pair, AT_SYMLINK_NOFOLLOW)
    p("both now", call, "utimensat", AT_FDCWD, path, None, 0)
    invalid = (_Timespec * 2)(_Timespec(0, 10**9), _Timespec(0, 0))
    p("invalid", call, "utimensat", AT_FDCWD, path, invalid, 0)
    fd = os.open(path, os.O_RDONLY)
    p("of a descriptor", os.utime, fd, ns=(10**18 + 8, 10**18 + 9))


@case
def what_moves_which_time(p: Probe) -> None:
    folder = p.folder("folder")
    path = p.file("folder/file")
    past = (10**18, 10**18 + 1)

    def after(label: str, action: object, *arguments: object) -> None:
        for name in (path, folder):
            if os.path.exists(name):
                os.utime(name, ns=past)
        p(label, action, *arguments)  # type: ignore[arg-type]
        p("file", os.stat, path)
        p("folder", os.stat, folder)

    after("chmod", os.chmod, path, 0o600)
    after("truncate", os.truncate, path, 3)
    after("truncate to the same", os.truncate, path, 3)
    after("link", os.link, path, folder + b"/second")
    after("rename", os.rename, folder + b"/second", folder + b"/third")
    after("unlink", os.unlink, folder + b"/third")
    after("xattr", os.setxattr, path, "user.key", b"value")
    after("mkdir", os.mkdir, folder + b"/inner")
    after("list", os.listdir, folder)
    fd = os.open(path, os.O_RDWR)
    after("write", os.write, fd, b"x")
    after("write nothing", os.write, fd, b"")
    after("allocate", os.posix_fallocate, fd, 0, 100)


@case
def extended_attributes(p: Probe) -> None:
    os.symlink("file", p.at("link"))
    for path in (p.file("file"), p.folder("folder")):
        p("none", os.listxattr, path)
        p("missing", os.getxattr, path, "user.absent")
        p("set", os.setxattr, path, "user.key", b"value")
        p("empty", os.setxattr, path, "user.empty", b"")
        p("binary", os.setxattr, path, "user.binary", bytes(range(256)))
        p("odd name", os.setxattr, path, b"user.\xff\n", b"x")
        p("create again", os.setxattr, path, "user.key", b"other", os.XATTR_CREATE)
        p("replace", os.setxattr, path, "user.key", b"other", os.XATTR_REPLACE)
        p("replace none", os.setxattr, path, "user.absent", b"other", os.XATTR_REPLACE)
        p("large", os.setxattr, path, "user.large", b"x" * 3000)
        p("too large", os.setxattr, path, "user.huge", b"x" * 65_537)
        p("long name", os.setxattr, path, "user." + "n" * 251, b"x")
        p("no name", os.setxattr, path, "user.", b"x")
        p("no space of names", os.setxattr, path, "nothing.key", b"x")
        p("trusted", os.setxattr, path, "trusted.key", b"x")
        p("security", os.setxattr, path, "security.key", b"x")
        p("get", os.getxattr, path, "user.key")
        p("get empty", os.getxattr, path, "user.empty")
        p("get large", os.getxattr, path, "user.large")
        p("list", lambda path=path: sorted(os.listxattr(path)))
        p("remove", os.removexattr, path, "user.large")
        p("remove none", os.removexattr, path, "user.large")
        buffer = ctypes.create_string_buffer(2)
        p("asked for the size", call, "getxattr", path, b"user.key", None, 0)
        p("too little room", call, "getxattr", path, b"user.key", buffer, 2)
        p("too little for a list", call, "listxattr", path, buffer, 2)
    p("of a link", os.setxattr, p.at("link"), "user.key", b"x", follow_symlinks=False)
    p("trusted of a link", os.setxattr, p.at("link"), "trusted.key", b"x", follow_symlinks=False)
    p("through a link", os.getxattr, p.at("link"), "user.key")
    p("of nothing", os.getxattr, p.at("absent"), "user.key")


@case
def access_lists_change_the_mode(p: Probe) -> None:
    path, folder = p.file("file"), p.folder("folder", 0o755)
    entries = acl(
        ("user_obj", 0, 6), ("user", OTHER, 4), ("group_obj", 0, 0), ("mask", 0, 4), ("other", 0, 0)
    )
    p("set", os.setxattr, path, "system.posix_acl_access", entries)
    p("mode shows the mask", os.stat, path)
    p("get", os.getxattr, path, "system.posix_acl_access")
    p("list", os.listxattr, path)
    p("chmod changes the mask", os.chmod, path, 0o660)
    p("get", os.getxattr, path, "system.posix_acl_access")
    p("broken", os.setxattr, path, "system.posix_acl_access", b"\2\0\0\0nonsense")
    p("default of a file", os.setxattr, path, "system.posix_acl_default", entries)
    p("default of a folder", os.setxattr, folder, "system.posix_acl_default", entries)
    p(
        "what is made in it",
        p("make", p.file, "folder/made") and os.getxattr,
        p.at("folder/made"),
        "system.posix_acl_access",
    )
    p(
        "minimal",
        os.setxattr,
        path,
        "system.posix_acl_access",
        acl(("user_obj", 0, 6), ("group_obj", 0, 4), ("other", 0, 4)),
    )
    p("is none", os.getxattr, path, "system.posix_acl_access")
    p("remove", os.removexattr, folder, "system.posix_acl_default")


@case
def default_access_lists_replace_the_umask(p: Probe) -> None:
    folder = p.folder("folder")
    entries = acl(
        ("user_obj", 0, 7), ("user", OTHER, 7), ("group_obj", 0, 7), ("mask", 0, 7), ("other", 0, 5)
    )
    p("default", os.setxattr, folder, "system.posix_acl_default", entries)
    for mask in (0, 0o027, 0o077):
        os.umask(mask)
        p(
            "file",
            lambda mask=mask: os.close(os.open(folder + b"/file%o" % mask, os.O_CREAT | os.O_WRONLY, 0o666)),
        )
        p("folder", os.mkdir, folder + b"/folder%o" % mask, 0o777)
        p("fifo", os.mkfifo, folder + b"/fifo%o" % mask, 0o666)
        p("link", os.symlink, "x", folder + b"/link%o" % mask)


@case
def access_as_asked(p: Probe) -> None:
    for mode in (0, 0o400, 0o200, 0o100, 0o755):
        for path in (p.file(f"file{mode:o}", mode=mode), p.folder(f"folder{mode:o}", mode=mode)):
            for wanted in (os.F_OK, os.R_OK, os.W_OK, os.X_OK, os.R_OK | os.W_OK | os.X_OK):
                p(f"{mode:o} {wanted}", os.access, path, wanted)
    os.symlink("nowhere", p.at("dangling"))
    p("dangling", os.access, p.at("dangling"), os.F_OK)
    p("dangling itself", os.access, p.at("dangling"), os.F_OK, follow_symlinks=False)
    p("absent", os.access, p.at("absent"), os.F_OK)


@case
def file_system_numbers(p: Probe) -> None:
    path = p.file("file")
    names = ("f_bsize", "f_frsize", "f_blocks", "f_files", "f_namemax")
    for found in (os.statvfs(p.root), os.statvfs(path), os.fstatvfs(os.open(path, os.O_RDONLY))):
        p.note("numbers", [getattr(found, name) for name in names])
        p.note("free", 0 < found.f_bavail <= found.f_bfree <= found.f_blocks)
    for name in ("PC_NAME_MAX", "PC_PATH_MAX", "PC_PIPE_BUF"):
        p(name, os.pathconf, path, name)


@case
def writing_keeps_or_clears_set_id_bits_for_root(p: Probe) -> None:
    for mode in (0o4755, 0o2755, 0o6777, 0o2644):
        path = p.file(f"file{mode:o}", mode=mode)
        fd = os.open(path, os.O_RDWR)
        p(f"write {mode:o}", os.write, fd, b"x")
        p("then", os.fstat, fd)
        p("truncate", os.ftruncate, fd, 1)
        p("then", os.fstat, fd)
        p("truncate by name", os.truncate, path, 0)
        p("then", os.stat, path)
