"""Users: what root's mount lets others do must be what the directory lets them do."""

# The system calls themselves are what is tested, with whatever they give:
# ruff: noqa: PTH123, PTH101, PTH102, PTH104, PTH108, PTH116, PTH211, S103
from __future__ import annotations

import os
from typing import TYPE_CHECKING

from probe import OTHER, TEAM, THIRD, Probe, acl, case

if TYPE_CHECKING:
    from collections.abc import Callable


def _everything(p: Probe, path: bytes) -> None:
    """Try every way to touch a file."""
    attempts: dict[str, Callable[[], object]] = {
        "stat": lambda: os.stat(path),
        "read": lambda: p.content(path),
        "write": lambda: os.write(os.open(path, os.O_WRONLY), b"W"),
        "append": lambda: os.write(os.open(path, os.O_WRONLY | os.O_APPEND), b"A"),
        "trunc": lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
        "truncate": lambda: os.truncate(path, 2),
        "chmod": lambda: os.chmod(path, 0o644),
        "chown": lambda: os.chown(path, os.getuid(), -1),
        "chgrp": lambda: os.chown(path, -1, os.getgid()),
        "same owner": lambda: os.chown(path, -1, -1),
        "touch": lambda: os.utime(path),
        "utime": lambda: os.utime(path, ns=(10**18, 10**18)),
        "setxattr": lambda: os.setxattr(path, "user.key", b"value"),
        "getxattr": lambda: os.getxattr(path, "user.key"),
        "listxattr": lambda: os.listxattr(path),
        "removexattr": lambda: os.removexattr(path, "user.key"),
        "trusted": lambda: os.setxattr(path, "trusted.key", b"value"),
        "setacl": lambda: os.setxattr(path, "system.posix_acl_access", acl(("user_obj", 0, 7), ("group_obj", 0, 7), ("other", 0, 7))),
        "capability": lambda: os.setxattr(path, "security.capability", b"\1\0\0\2" + b"\0" * 16),
        "link": lambda: os.link(path, path + b"-linked"),
        "rename": lambda: os.rename(path, path + b"-renamed"),
        "back": lambda: os.rename(path + b"-renamed", path),
        "unlink": lambda: os.unlink(path + b"-linked"),
        "symlink": lambda: os.symlink(path, path + b"-symlink"),
        "mkdir": lambda: os.mkdir(path + b"-dir"),
        "mknod": lambda: os.mknod(path + b"-null", 0o20666, os.makedev(1, 3)),
        "mkfifo": lambda: os.mkfifo(path + b"-fifo"),
        "noatime": lambda: os.open(path, os.O_RDONLY | os.O_NOATIME),
    }  # fmt: skip
    for label, attempt in attempts.items():
        p(label, attempt)
    for wanted in (os.F_OK, os.R_OK, os.W_OK, os.X_OK):
        p(f"access {wanted}", os.access, path, wanted)


def _as(uid: int, *groups: int, folder: int = 0o777) -> Callable[[Probe], None]:
    def run(p: Probe) -> None:
        for mode in (0o000, 0o600, 0o640, 0o644, 0o604, 0o040, 0o666, 0o4755, 0o2777):
            for owner, group in ((0, 0), (OTHER, OTHER), (THIRD, THIRD), (0, TEAM), (THIRD, OTHER)):
                parent = p.folder(f"{mode:o}-{owner}-{group}", folder)
                path = p.file(parent + b"/file", b"secret", 0o600)
                if os.geteuid():
                    p.user(lambda: None)
                os.chown(path, owner, group)
                os.chmod(path, mode)
                p.note("file", f"{mode:o} {owner} {group}")
                p.user(lambda path=path: _everything(p, path), uid, groups)

    return run


@case
def another_user_touches_everything(p: Probe) -> None:
    _as(OTHER)(p)


@case
def another_user_with_more_groups(p: Probe) -> None:
    _as(OTHER, TEAM, THIRD)(p)


@case
def another_user_in_a_sticky_folder(p: Probe) -> None:
    _as(OTHER, folder=0o1777)(p)


@case
def another_user_in_a_folder_of_roots(p: Probe) -> None:
    _as(OTHER, folder=0o755)(p)


@case
def another_user_in_a_folder_to_search_only(p: Probe) -> None:
    _as(OTHER, folder=0o711)(p)


@case
def another_user_in_a_folder_to_list_only(p: Probe) -> None:
    _as(OTHER, folder=0o744)(p)


@case
def what_others_make_is_theirs(p: Probe) -> None:
    for mode, group in ((0o777, 0), (0o1777, 0), (0o2777, TEAM), (0o3777, TEAM)):
        folder = p.folder(f"{mode:o}", mode)
        if os.geteuid():
            p.user(lambda: None)
        os.chown(folder, 0, group)
        os.chmod(folder, mode)

        def make(folder: bytes = folder) -> None:
            os.umask(0)
            for made in (0o666, 0o4755, 0o2755, 0o6777, 0o2666):
                p(
                    "file",
                    lambda made=made: os.close(
                        os.open(folder + b"/file%o" % made, os.O_CREAT | os.O_WRONLY, made)
                    ),
                )
                p("folder", os.mkdir, folder + b"/folder%o" % made, made)
                p("fifo", os.mkfifo, folder + b"/fifo%o" % made, made)
                p("node", os.mknod, folder + b"/node%o" % made, 0o100000 | made)
                p("deeper", os.mkdir, folder + b"/folder%o/deeper" % made, 0o777)
            p("link", os.symlink, "x", folder + b"/link")

        p.user(make)
        p.user(lambda make=make: p("all is there", make), THIRD, [TEAM])


@case
def writing_clears_set_id_bits_for_others(p: Probe) -> None:
    actions: dict[str, Callable[[bytes], object]] = {
        "write": lambda path: os.write(os.open(path, os.O_WRONLY), b"x"),
        "write nothing": lambda path: os.write(os.open(path, os.O_WRONLY), b""),
        "append": lambda path: os.write(os.open(path, os.O_WRONLY | os.O_APPEND), b"x"),
        "trunc": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
        "truncate": lambda path: os.truncate(path, 1),
        "ftruncate": lambda path: os.ftruncate(os.open(path, os.O_WRONLY), 1),
        "allocate": lambda path: os.posix_fallocate(os.open(path, os.O_WRONLY), 0, 100),
        "chgrp": lambda path: os.chown(path, -1, os.getgid()),
        "chmod": lambda path: os.chmod(path, 0o6777),
        "utime": os.utime,
    }
    for owner in (OTHER, 0):
        for mode in (0o4777, 0o2777, 0o6777, 0o2767, 0o6666):
            for label, action in actions.items():
                path = p.file(f"{owner} {mode:o} {label}", b"content", mode, owner)
                p.user(lambda path=path, action=action, label=label: p(label, action, path))


@case
def sticky_folders_protect(p: Probe) -> None:
    folder = p.folder("tmp", 0o1777)
    for owner in (0, OTHER, THIRD):
        for kind in ("file", "open"):
            p.file(f"tmp/{kind}-{owner}", mode=0o666, owner=owner)
        os.mkdir(folder + b"/folder-%d" % owner)
        os.chown(folder + b"/folder-%d" % owner, owner, owner)

    def attempt() -> None:
        for owner in (0, OTHER, THIRD):
            fd = os.open(folder + b"/open-%d" % owner, os.O_RDWR)
            p("rename", os.rename, folder + b"/file-%d" % owner, folder + b"/moved-%d" % owner)
            p("replace", os.rename, p("mine", p.file, "tmp/mine", b"") or b"", folder + b"/open-%d" % owner)
            p("unlink", os.unlink, folder + b"/open-%d" % owner)
            p("rmdir", os.rmdir, folder + b"/folder-%d" % owner)
            p("descriptor", os.fstat, fd)

    p.user(attempt)


@case
def access_lists_decide(p: Probe) -> None:
    lists = {
        "denied by name": [("user_obj", 0, 6), ("user", OTHER, 0), ("group_obj", 0, 4), ("mask", 0, 6), ("other", 0, 4)],
        "allowed by name": [("user_obj", 0, 6), ("user", OTHER, 6), ("group_obj", 0, 0), ("mask", 0, 6), ("other", 0, 0)],
        "masked": [("user_obj", 0, 6), ("user", OTHER, 6), ("group_obj", 0, 0), ("mask", 0, 4), ("other", 0, 0)],
        "group allowed": [("user_obj", 0, 6), ("group_obj", 0, 0), ("group", TEAM, 6), ("mask", 0, 6), ("other", 0, 0)],
        "group denied": [("user_obj", 0, 6), ("group_obj", 0, 4), ("group", TEAM, 0), ("mask", 0, 4), ("other", 0, 4)],
        "owning group shut out": [("user_obj", 0, 6), ("user", THIRD, 4), ("group_obj", 0, 0), ("mask", 0, 4), ("other", 0, 0)],
    }  # fmt: skip
    for label, entries in lists.items():
        for group in (0, OTHER, TEAM):
            parent = p.folder(f"{label} {group}", 0o777)
            path = p.file(parent + b"/file", b"secret")
            if os.geteuid():
                p.user(lambda: None)
            os.chown(path, 0, group)
            os.setxattr(path, "system.posix_acl_access", acl(*entries))
            for groups in ((), (TEAM,)):
                p.user(lambda path=path: _everything(p, path), OTHER, groups)


@case
def access_lists_of_folders_decide(p: Probe) -> None:
    for bits in range(8):
        folder = p.folder(f"{bits}", 0o777)
        p.file(folder + b"/file", b"secret", 0o666)
        entries = acl(
            ("user_obj", 0, 7), ("user", OTHER, bits), ("group_obj", 0, 5), ("mask", 0, 7), ("other", 0, 7)
        )
        os.setxattr(folder, "system.posix_acl_access", entries)

        def attempt(folder: bytes = folder) -> None:
            p("list", os.listdir, folder)
            _everything(p, folder + b"/file")
            p("make", p.file, folder + b"/made", b"")

        p.user(attempt)


@case
def a_changed_access_list_counts_at_once(p: Probe) -> None:
    path = p.file("file", b"secret")
    denied = acl(("user_obj", 0, 6), ("user", OTHER, 0), ("group_obj", 0, 4), ("mask", 0, 6), ("other", 0, 4))
    for _ in range(5):
        p.user(lambda: p("before", p.content, path))
        os.setxattr(path, "system.posix_acl_access", denied)
        p.user(lambda: p("denied", p.content, path))
        os.removexattr(path, "system.posix_acl_access")
        os.chmod(path, 0)
        p.user(lambda: p("no mode", p.content, path))
        os.chmod(path, 0o644)


@case
def inside_a_folder_one_could_not_reach(p: Probe) -> None:
    locked = p.folder("locked", 0o700)
    p.folder("locked/open", 0o777)
    p.file("locked/open/file", b"reachable", 0o666)
    os.chdir(locked + b"/open")

    def attempt() -> None:
        p("relative", p.content, b"file")
        p("made", p.file, b"made", b"x")  # by its whole path: refused
        p("made by its name", lambda: os.close(os.open(b"made", os.O_CREAT | os.O_WRONLY)))
        p("list", os.listdir, b".")
        p("by its path", p.content, locked + b"/open/file")
        p("up", os.listdir, b"..")
        p("attribute", os.setxattr, b"file", "user.key", b"value")

    p.user(attempt)


@case
def what_one_may_not_read_stays_so_for_an_open_folder(p: Probe) -> None:
    folder = p.folder("folder", 0o755)
    p.file("folder/file", b"x", 0o644)
    fd = os.open(folder, os.O_RDONLY)

    def attempt() -> None:
        p("before", os.stat, b"file", dir_fd=fd)

    p.user(attempt)
    os.chmod(folder, 0o700)
    p.user(attempt)


@case
def another_user_runs_what_it_may_not_read(p: Probe) -> None:
    for mode in (0o711, 0o111, 0o001, 0o4711, 0o700, 0o644, 0o755, 0o710):
        with open("/bin/true", "rb") as program:
            path = p.file(f"program-{mode:o}", program.read(), mode)
        script = p.file(f"script-{mode:o}", b"#!/bin/sh\nexit 7\n", mode)
        if os.geteuid():
            continue

        def attempt(path: bytes = path, script: bytes = script) -> None:
            for file in (path, script):
                p(
                    f"run {file[-11:]!r}",
                    lambda file=file: os.waitstatus_to_exitcode(os.waitpid(_spawn(file), 0)[1]),
                )
                p("read", p.content, file)
                p("map", lambda file=file: os.open(file, os.O_RDONLY | 0x20))  # as execve(2) asks
                p("readable", os.access, file, os.R_OK)

        p.user(attempt)
        p.user(attempt, groups=[0])


def _spawn(path: bytes) -> int:
    return os.posix_spawn(path, [path], {})
