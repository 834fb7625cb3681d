from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
import time
from typing import TYPE_CHECKING

import pytest
from probe import CLOCK_REALTIME_COARSE, call

import fmrw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sides import Side

pytestmark = pytest.mark.mount

AT_FDCWD, RENAME_NOREPLACE = -100, 1
COLLAPSE_RANGE, INSERT_RANGE = 8, 32
STATX_BTIME = 0x800
FS_IOC_GETFLAGS = 0x80086601


@pytest.fixture
def file(side: Side) -> Iterator[Path]:
    path = side.root / "differs"
    path.write_bytes(b"content" * 2000)
    yield path
    path.unlink()


def _beneath(side: Side, path: Path) -> int:
    return os.open(path.name, os.O_RDWR, dir_fd=side.beneath)


def test_a_mapping_sees_what_is_written_beneath_when_the_file_is_opened_again(side: Side, file: Path) -> None:
    beneath = _beneath(side, file)
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as view:
        assert view[:7] == b"content"
        os.pwrite(beneath, b"BENEATH", 0)
        assert view[:7] == b"content"
        file.open("rb").close()
        assert view[:7] == b"BENEATH"
    os.close(beneath)


def test_a_page_that_is_written_back_covers_what_was_written_beneath(side: Side, file: Path) -> None:
    beneath = _beneath(side, file)
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as view:
        view[0] = ord("M")
        os.pwrite(beneath, b"BENEATH", 7)
        os.pwrite(beneath, b"BENEATH", 4098)  # of another page, which nobody has changed above
        view.flush()
    assert os.pread(beneath, 14, 0) == b"Montentcontent"
    assert os.pread(beneath, 7, 4098) == b"BENEATH"
    os.close(beneath)


def test_locks_are_not_seen_beneath(side: Side, file: Path) -> None:
    beneath = _beneath(side, file)
    with file.open("r+b") as above:
        fcntl.flock(above, fcntl.LOCK_EX)
        fcntl.flock(beneath, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(beneath)


def test_a_file_is_one_piece_of_data(file: Path) -> None:
    os.truncate(file, 1 << 24)
    with file.open("r+b") as opened:
        assert os.lseek(opened.fileno(), 1 << 20, os.SEEK_DATA) == 1 << 20
        assert os.lseek(opened.fileno(), 0, os.SEEK_HOLE) == 1 << 24


def test_flags_of_rename2_are_refused(file: Path) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        call("renameat2", AT_FDCWD, bytes(file), AT_FDCWD, bytes(file) + b"-new", RENAME_NOREPLACE)


def test_files_without_a_name_are_refused(side: Side) -> None:
    with pytest.raises(OSError, match="not supported"):
        os.open(side.root, os.O_TMPFILE | os.O_RDWR)


def test_a_removed_folder_has_no_status(side: Side) -> None:
    folder = side.root / "removed"
    folder.mkdir()
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    folder.rmdir()
    for look in (os.fstat, os.listdir):
        with pytest.raises(FileNotFoundError):
            look(fd)
    os.close(fd)


def test_a_removed_file_has_no_status_by_a_descriptor_that_only_names_it(side: Side) -> None:
    """The file is made beneath: of one that was opened through the mount, and whose last release has yet to come, libfuse keeps a name."""
    os.close(os.open("removed", os.O_CREAT | os.O_WRONLY, dir_fd=side.beneath))
    fd = os.open(side.root / "removed", os.O_PATH)
    (side.root / "removed").unlink()
    with pytest.raises(FileNotFoundError):
        os.fstat(fd)
    os.close(fd)


def test_a_change_of_owner_to_the_same_leaves_the_time_of_change(side: Side, file: Path) -> None:
    beneath = _beneath(side, file)
    before = file.stat().st_ctime_ns
    while (
        time.clock_gettime_ns(CLOCK_REALTIME_COARSE) <= before
    ):  # what the kernel stamps files with goes on in steps
        os.sched_yield()
    os.chown(file, -1, -1)
    assert file.stat().st_ctime_ns == before
    os.fchown(beneath, -1, -1)
    assert file.stat().st_ctime_ns > before, "on the plain directory it is a change"
    os.close(beneath)


@pytest.mark.root("handles are opened by root")
def test_a_handle_to_open_a_file_by_does_not_outlive_the_mount(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    handle, mount = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0), 8 + 128), ctypes.c_int()
    with fmrw.mount(tmp_path, reports="off"):
        call("name_to_handle_at", AT_FDCWD, bytes(tmp_path / "file"), handle, ctypes.byref(mount), 0)
    with fmrw.mount(tmp_path, reports="off"):
        folder = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(OSError, match="Stale"):
            call("open_by_handle_at", folder, handle, os.O_RDONLY)
        os.close(folder)


def test_a_file_has_no_time_of_birth(file: Path) -> None:
    about = ctypes.create_string_buffer(256)
    call("statx", AT_FDCWD, bytes(file), 0, STATX_BTIME, about)
    assert not struct.unpack_from("<I", about)[0] & STATX_BTIME


def test_a_read_that_must_not_wait_is_refused(file: Path) -> None:
    with file.open("rb") as opened, pytest.raises(OSError, match="not supported"):
        os.preadv(opened.fileno(), [bytearray(10)], 0, os.RWF_NOWAIT)


@pytest.mark.parametrize("mode", [COLLAPSE_RANGE, INSERT_RANGE])
def test_ranges_are_neither_collapsed_nor_inserted(mode: int, file: Path) -> None:
    with file.open("r+b") as opened, pytest.raises(OSError, match="not supported"):
        call("fallocate", opened.fileno(), mode, 4096, 4096)
    assert file.read_bytes() == b"content" * 2000


def test_direct_io_needs_no_alignment(file: Path) -> None:
    fd = os.open(file, os.O_RDWR | os.O_DIRECT)
    assert os.pread(fd, 7, 7) == b"content"
    assert os.pwrite(fd, b"CON", 1) == 3
    os.close(fd)
    assert file.read_bytes()[:7] == b"cCONent"


def test_ioctls_are_unknown(file: Path) -> None:
    with file.open("rb") as opened, pytest.raises(OSError, match="Inappropriate ioctl"):
        fcntl.ioctl(opened, FS_IOC_GETFLAGS, b"\0" * 8)


@pytest.mark.root("devices are made by root")
def test_devices_do_nothing(side: Side) -> None:
    path = side.root / "null"
    os.mknod(path, 0o20666, os.makedev(1, 3))
    with pytest.raises(PermissionError):
        path.open("rb")
    path.unlink()


def test_reading_beyond_the_end_moves_the_access_time_in_exact_only(side: Side, file: Path) -> None:
    os.utime(file, ns=(10**18, 10**18))
    with file.open("rb", buffering=0) as opened:
        os.pread(opened.fileno(), 10, 1 << 20)
    moved = file.stat().st_atime_ns != 10**18
    assert moved == (side.capture == "exact")
