"""Data: far offsets, holes, allocation, locks, synchronising, limits."""

# The system calls themselves are what is tested, with whatever they give:
# ruff: noqa: PTH108, PTH123, FBT003
from __future__ import annotations

import fcntl
import os
import resource
import signal
import struct
from typing import TYPE_CHECKING

from probe import Probe, call, case

if TYPE_CHECKING:
    from collections.abc import Callable

KEEP, PUNCH, ZERO = 1, 3, 16


@case
def offsets_beyond_four_gigabytes_and_a_terabyte(p: Probe) -> None:
    for exponent in (31, 32, 40):
        path = p.at(f"far-{exponent}")
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
        far = (1 << exponent) + 3
        p("write", os.pwrite, fd, b"far away", far)
        p("seek", os.lseek, fd, far + 4, os.SEEK_SET)
        p("read", os.read, fd, 100)
        p("before", os.pread, fd, 10, far - 5)
        p("hole", os.pread, fd, 10, 1 << 20)
        p("size", os.fstat, fd)
        p("seek from the end", os.lseek, fd, -2, os.SEEK_END)
        p("append", lambda path=path: os.write(os.open(path, os.O_WRONLY | os.O_APPEND), b"+"))
        p("truncate", os.ftruncate, fd, far - 1)
        p("size", os.stat, path)
        os.close(fd)
        os.unlink(path)


@case
def sparse_files_stay_sparse(p: Probe) -> None:
    fd = os.open(p.at("sparse"), os.O_CREAT | os.O_RDWR)
    p("extend", os.ftruncate, fd, 1 << 30)
    p("write", os.pwrite, fd, b"x", 1 << 29)
    os.fsync(fd)
    p.note("blocks", os.fstat(fd).st_blocks)
    p("hole", os.pread, fd, 100, 1000)
    os.unlink(p.at("sparse"))


@case
def reading_and_writing_at_the_edges(p: Probe) -> None:
    path = p.file("file", bytes(range(256)) * 40)
    fd = os.open(path, os.O_RDWR)
    for offset, length in ((0, 0), (10_239, 10), (10_240, 1), (10_241, 5), (1 << 50, 5), (0, 1 << 20)):
        p(f"{offset} {length}", os.pread, fd, length, offset)
    p("negative", os.pread, fd, 1, -1)
    p("write nothing", os.pwrite, fd, b"", 1 << 30)
    p("too far", os.pwrite, fd, b"x", (1 << 63) - 1)
    p("beyond the largest file", os.pwrite, fd, b"x", 1 << 60)
    p("vector", os.writev, fd, [b"a" * 5000, b"", b"b" * 5000, b"c"])
    p("position", os.lseek, fd, 0, os.SEEK_CUR)
    buffers = [bytearray(3), bytearray(0), bytearray(6000)]
    p("into a vector", os.preadv, fd, buffers, 4999)
    p.note("vector", [bytes(buffer) for buffer in buffers])
    p("size", os.fstat, fd)
    reader, writer = os.open(path, os.O_RDONLY), os.open(path, os.O_WRONLY)
    p("write to a reader", os.write, reader, b"x")
    p("read from a writer", os.read, writer, 1)
    p("truncate a reader", os.ftruncate, reader, 1)
    p("read a folder", os.read, os.open(p.root, os.O_RDONLY), 10)


@case
def large_transfers_of_every_alignment(p: Probe) -> None:
    data = os.urandom(16) * 65_536  # 1 MiB of a short period: an error of an offset shows
    fd = os.open(p.at("large"), os.O_CREAT | os.O_RDWR)
    position = 0
    for length in (131_072, 131_073, 1 << 20, 4095, 4097, 131_071, 3 << 16):
        p(f"write {length}", os.write, fd, data[:length])
        p.note("read back", os.pread(fd, length, position) == data[:length])
        position += length
    whole = os.pread(fd, 1 << 22, 0)
    p.note("length", len(whole))
    os.unlink(p.at("large"))


@case
def truncation_by_name_and_descriptor(p: Probe) -> None:
    path = p.file("file", b"0123456789")
    fd = os.open(path, os.O_RDWR)
    for size in (5, 20, 5, 0, 1 << 33, -1, 7):
        p(f"name {size}", os.truncate, path, size)
        p("then", os.fstat, fd)
        p(f"descriptor {size}", os.ftruncate, fd, size)
        p("content", os.pread, fd, 64, 0)
    p("folder", os.truncate, p.folder("folder"), 0)
    p("absent", os.truncate, p.at("absent"), 0)
    p("too far", os.truncate, path, 1 << 60)


@case
def allocation(p: Probe) -> None:
    path = p.file("file", bytes(range(256)) * 128)
    fd = os.open(path, os.O_RDWR)
    for mode, offset, length in (
        (0, 0, 40_000), (KEEP, 0, 100_000), (PUNCH, 4096, 8192), (PUNCH, 100, 50), (ZERO, 0, 200), (0, 0, 0), (0, -1, 5), (128, 0, 5),
    ):  # fmt: skip
        p(f"{mode} {offset} {length}", _allocate, fd, mode, offset, length)
        p("size", os.fstat, fd)
        p("content", os.pread, fd, 1 << 17, 0)
    p("to a reader", os.posix_fallocate, os.open(path, os.O_RDONLY), 0, 10)


def _allocate(fd: int, mode: int, offset: int, length: int) -> None:
    import ctypes  # noqa: PLC0415 - 64-bit arguments only here

    call("fallocate", fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length))


@case
def synchronising(p: Probe) -> None:
    fd = os.open(p.file("file"), os.O_RDWR)
    p("write", os.write, fd, b"x")
    p("fsync", os.fsync, fd)
    p("fdatasync", os.fdatasync, fd)
    p("of a reader", os.fsync, os.open(p.at("file"), os.O_RDONLY))
    p("of a folder", os.fsync, os.open(p.root, os.O_RDONLY))
    p("data of a folder", os.fdatasync, os.open(p.root, os.O_RDONLY))
    p("advice", os.posix_fadvise, fd, 0, 100, os.POSIX_FADV_DONTNEED)
    synchronous = os.open(p.at("file"), os.O_WRONLY | os.O_DSYNC)
    p("written through", os.write, synchronous, b"y")


def _try(p: Probe, label: str, action: Callable[[], object]) -> None:
    p.fork(lambda: p(label, lambda: action() and None))


@case
def whole_file_locks_between_processes(p: Probe) -> None:
    path = p.file("file")
    fd = os.open(path, os.O_RDWR)
    for held in (fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN):
        p("take", fcntl.flock, fd, held)
        for wanted in (fcntl.LOCK_SH, fcntl.LOCK_EX):
            _try(
                p,
                f"{held} {wanted}",
                lambda wanted=wanted: fcntl.flock(os.open(path, os.O_RDWR), wanted | fcntl.LOCK_NB),
            )


@case
def record_locks_between_processes(p: Probe) -> None:
    path = p.file("file", b"x" * 100)
    fd = os.open(path, os.O_RDWR)
    p("take", fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 20)
    for start, length in ((0, 20), (0, 21), (29, 1), (30, 1), (0, 0)):
        _try(
            p,
            f"{start} {length}",
            lambda s=start, n=length: fcntl.lockf(
                os.open(path, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, n, s
            ),
        )
    _try(p, "who holds it", lambda: p.note("found", struct.unpack("hhqqi", fcntl.fcntl(
        os.open(path, os.O_RDWR), fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))[:28])[:4]))  # fmt: skip
    os.close(os.open(path, os.O_RDONLY))  # closing any descriptor of the file drops them all
    _try(
        p,
        "after a close",
        lambda: fcntl.lockf(os.open(path, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 20),
    )
    whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    p("of an open file description", fcntl.fcntl, fd, 37, whole)
    other = os.open(path, os.O_RDWR)
    p("denied in the same process", lambda: fcntl.fcntl(other, 37, whole) and None)
    p(
        "reader cannot write-lock",
        lambda: fcntl.lockf(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB),
    )


@case
def a_lock_is_waited_for(p: Probe) -> None:
    path = p.file("file")
    fd = os.open(path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        own = os.open(path, os.O_RDWR)
        os.write(writing, b"!")
        fcntl.flock(own, fcntl.LOCK_EX)
        os.write(own, b"second")
        os._exit(0)
    os.read(reading, 1)
    os.write(fd, b"first!")
    fcntl.flock(fd, fcntl.LOCK_UN)
    p.note("ended", os.waitpid(child, 0)[1])
    p("content", p.content, path)


@case
def copying_inside_the_kernel(p: Probe) -> None:
    data = bytes(range(256)) * 1000
    source, target = os.open(p.file("source", data), os.O_RDONLY), os.open(p.file("target", b""), os.O_RDWR)
    copied = 0
    while done := os.copy_file_range(source, target, 1 << 20, copied, copied):
        copied += done
    p.note("copied", copied)
    sent = 0
    while done := os.sendfile(target, source, sent, 100_000):
        sent += done
    p.note("sent", sent)
    reading, writing = os.pipe()
    p("splice", os.splice, source, writing, 5000, 10)
    p("arrived", os.read, reading, 5000)


@case
def a_program_runs(p: Probe) -> None:
    with open("/bin/true", "rb") as program:
        p.file("program", program.read(), 0o755)
    p.file("script", b"#!/bin/sh\nexit 7\n", 0o755)
    p.file("no-program", b"nothing", 0o644)
    for name in ("program", "script", "no-program"):
        p(name, lambda name=name: os.waitstatus_to_exitcode(os.waitpid(_spawn(p.at(name)), 0)[1]))


def _spawn(path: bytes) -> int:
    return os.posix_spawn(path, [path], {})


@case
def writing_to_a_running_program_is_refused(p: Probe) -> None:
    with open("/bin/cat", "rb") as program:
        path = p.file("program", program.read(), 0o755)
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    child = os.posix_spawn(path, [path], {}, file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0)])
    p("open", os.open, path, os.O_WRONLY)
    p("truncate", os.truncate, path, 0)
    os.close(writing)
    p.note("ended", os.waitpid(child, 0)[1])
    os.unlink(path)


@case
def the_limit_of_file_sizes(p: Probe) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    fd = os.open(p.file("file", b""), os.O_RDWR)
    p("up to it", os.pwrite, fd, b"x" * 2000, 500)
    p("at it", os.pwrite, fd, b"x", 1000)
    p("truncate", os.ftruncate, fd, 1001)
    p("by name", os.truncate, p.at("file"), 1001)
    p("allocate", os.posix_fallocate, fd, 0, 2000)
    p("size", os.fstat, fd)


@case
def a_shared_view_of_two_descriptors(p: Probe) -> None:
    path = p.file("file", b"0" * 10_000)
    one, two = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    for step in range(50):
        p("write", os.pwrite, one, b"%04d" % step, step * 199)
        p("read", os.pread, two, 4, step * 199)
        p("size", os.fstat, two)
    p("longer", os.pwrite, two, b"tail", 10_000)
    p("seen", os.pread, one, 100, 9_990)
    p("shorter", os.ftruncate, one, 100)
    p("seen", os.pread, two, 1000, 90)


@case
def descriptors_of_several_files_are_told_apart(p: Probe) -> None:
    paths = [p.file(f"file{number}", b"%d" % number * 100) for number in range(4)]
    fds = [os.open(path, os.O_RDWR) for path in paths]
    p("truncate", os.ftruncate, fds[1], 10)
    p("allocate", os.posix_fallocate, fds[2], 0, 200)
    p("mode", os.fchmod, fds[3], 0o600)
    p("times", os.utime, fds[2], ns=(10**18, 10**18 + 1))
    p("attribute", os.setxattr, fds[3], "user.key", b"value")
    p("write", os.pwrite, fds[2], b"here", 50)
    os.close(fds[0])
    p("write", os.pwrite, fds[3], b"there", 50)
    for fd in fds[1:]:
        p("status", os.fstat, fd)
        p("content", os.pread, fd, 300, 0)
        p("attributes", os.listxattr, fd)
    p("closed", os.fstat, fds[0])
