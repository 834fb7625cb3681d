"""Mapped files, alone and beside reads and writes, as xfstests tries them in its generic cases 080, 215, 246, 247, 248, 428, 437 and 638."""

# The system calls themselves are what is tested:
# ruff: noqa: PTH108, PTH116
from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from probe import case

if TYPE_CHECKING:
    from probe import Probe

PAGE = mmap.PAGESIZE
LONG_AGO = 10**18  # nanoseconds since 1970


@case
def a_private_mapping(p: Probe) -> None:
    fd = os.open(p.file("file", b"mapped" * 2000), os.O_RDWR)
    with mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as view:
        p.note("seen", view[6000:6010])
        view[:3] = b"own"
        p.note("own", view[:6])
    p("not written", os.pread, fd, 6, 0)


@case
def a_shared_mapping(p: Probe) -> None:
    path = p.file("file", bytes(range(256)) * 100)
    fd, other = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 0) as view:
        p.note("seen", view[6000:6010])
        os.pwrite(other, b"other", 6001)
        p.note("written by another", view[6000:6010])
        view[5000:5006] = b"mapped"
        p("read by another", os.pread, other, 10, 4998)
        os.ftruncate(other, 20_000)
        p.note("before the cut", view[19_990:20_001])
        os.ftruncate(other, 30_000)
        p.note("grown again", view[19_990:20_010])
        view[-1] = 1
    p("after", os.pread, other, 10, 25_595)
    p("content", p.content, path)


@case
def a_shared_mapping_of_what_one_may_only_read(p: Probe) -> None:
    fd = os.open(p.file("file", b"mapped" * 2000), os.O_RDONLY)
    p("to write", mmap.mmap, fd, 0)
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as view:
        p.note("to read", view[6000:6010])
    p("of what one may only write", mmap.mmap, os.open(p.at("file"), os.O_WRONLY), 0)


@case
def a_mapping_of_a_file_that_is_opened_to_append(p: Probe) -> None:
    path = p.file("file", b"0123456789" * 1000)
    fd = os.open(path, os.O_RDWR | os.O_APPEND)
    with mmap.mmap(fd, 0) as view:
        view[5:8] = b"new"
        os.write(fd, b"appended")
        view[4999] = 1
        p("flush", view.flush)
        view[9000] = 2
    p("size", lambda: os.fstat(fd).st_size)
    p("content", p.content, path)


@case
def what_was_mapped_outlives_its_descriptor_and_its_name(p: Probe) -> None:
    path = p.file("file", bytes(9000))
    kept = os.open(path, os.O_RDONLY)
    fd = os.open(path, os.O_RDWR)
    view = mmap.mmap(fd, 0)
    os.close(fd)
    view[4000:4500] = b"x" * 500
    os.unlink(path)
    view[8000] = 1
    view.flush()
    p("kept", os.pread, kept, 9000, 0)
    p("size", lambda: os.fstat(kept).st_size)
    view.close()


@case
def a_mapping_that_the_file_was_cut_under(p: Probe) -> None:
    path = p.file("file", b"x" * 50_000)
    child = os.fork()
    if not child:
        fd = os.open(path, os.O_RDWR)
        view = mmap.mmap(fd, 0)
        os.ftruncate(fd, 10_000)
        view[12_000] = view[9999]  # on the last page
        view[13_000]
        os._exit(0)
    p.note("ended", os.waitpid(child, 0)[1])
    p("content", p.content, path)


@case
def times_of_a_file_that_is_written_through_a_mapping(p: Probe) -> None:
    path = p.file("file", bytes(2 * PAGE))
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 0) as view:
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
        p.note("read", view[0])
        p("times after a read", lambda: os.fstat(fd).st_mtime_ns == LONG_AGO)
        view[10] = 65
        view.flush()
        p("times after a write", lambda: os.fstat(fd).st_mtime_ns > LONG_AGO)
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
        view[PAGE] = 66
    os.close(fd)
    p("times when nobody has it open", lambda: os.stat(path).st_mtime_ns > LONG_AGO)
    p("content", p.content, path)


@case
def data_to_write_lies_in_a_mapping_of_the_same_file(p: Probe) -> None:
    path = p.file("file", bytes(range(256)) * 256)
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 0) as view, memoryview(view) as data:
        view[:4] = b"abcd"
        p("elsewhere", os.pwrite, fd, data[:PAGE], 2 * PAGE)
        p("onto itself", os.pwrite, fd, data[:PAGE], 0)
        p("across pages", os.pwrite, fd, data[100 : 100 + 3 * PAGE], 10 * PAGE + 50)
        p.note("seen", view[2 * PAGE : 2 * PAGE + 4])
        p("read into the mapping", os.preadv, fd, [data[5 * PAGE : 7 * PAGE]], 8 * PAGE)
    p("content", p.content, path)


@case
def a_mapping_and_writes_in_turn(p: Probe) -> None:
    path = p.file("file", bytes(16 * PAGE))
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 0) as view:
        for number in range(50):
            word, at = b"%05d" % number, (number * 7919) % (15 * PAGE)
            os.pwrite(fd, word, at)
            p.note("written", view[at : at + 5])
            view[at + 3 : at + 8] = word
            p("mapped", os.pread, fd, 10, at)
    p("content", p.content, path)


@case
def mappings_of_holes(p: Probe) -> None:
    path = p.file("file", b"")
    fd = os.open(path, os.O_RDWR)
    os.ftruncate(fd, 16 * PAGE)
    with (
        mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as own,
        mmap.mmap(fd, 0) as shared,
    ):
        own[5] = 7
        p("of the file", os.pwrite, fd, b"Z" * 10, 0)
        p.note("own page", own[:10])
        p.note("shared page", shared[:10])
        p.note("hole", shared[9 * PAGE : 9 * PAGE + 5])
        shared[9 * PAGE] = 9
        p("written into the hole", os.pread, fd, 3, 9 * PAGE - 1)
        p.note("through the other", own[9 * PAGE])
    p("content", p.content, path)


@case
def pages_written_without_a_read_before(p: Probe) -> None:
    path = p.file("file", b"")
    fd = os.open(path, os.O_RDWR)
    os.ftruncate(fd, 64 * PAGE)
    with mmap.mmap(fd, 0) as view:
        for page in range(64):
            view[page * PAGE : (page + 1) * PAGE] = bytes([page]) * PAGE
    os.close(fd)
    fd = os.open(path, os.O_RDONLY)
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as view:
        p.note("mapped again", [view[page * PAGE + 1] for page in range(64)])
    p("content", p.content, path)


@case
def zeros_behind_an_end_that_was_moved(p: Probe) -> None:
    path = p.file("file", b"a" * 5000)
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, 0) as view:
        view[4000] = 98
        os.ftruncate(fd, 100)
        os.ftruncate(fd, 5000)
        p.note("mapped", view[98:103] + view[4000:4001])
        p("read", os.pread, fd, 5000, 0)
    p("content", p.content, path)
