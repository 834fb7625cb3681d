"""Several file systems below one directory: a mount has one device number, and still no two files are taken for one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

import fmrw
from fmrw.capture.mirror.dirfds import told_apart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDERS = ("one", "two")


def test_numbers_of_a_device_stay_apart_and_leave_those_of_the_directory_alone() -> None:
    devices, inodes = (0x2A, 0x2B, 0xFE01), (1, 2, 3, 2**32, 2**40)
    found = {told_apart(device, inode) for device in devices for inode in inodes}
    assert len(found) == len(devices) * len(inodes)
    assert all(1 << 62 <= number < 1 << 63 for number in found)  # the highest bit marks reports


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[Path]:
    """A directory with two file systems in it, in which files with other content have equal inode numbers."""
    directory = tmp_path / "watched"
    with contextlib.ExitStack() as stack:
        for name in FOLDERS:
            folder = directory / name
            folder.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "fmrw-test", folder], check=True)
            stack.callback(subprocess.run, ["umount", folder], check=True)
            (folder / "file").write_text(f"content of {name}")
            (folder / "link").hardlink_to(folder / "file")
        first, second = ((directory / name / "file").stat() for name in FOLDERS)
        assert first.st_ino == second.st_ino
        yield directory


needs_mounts = pytest.mark.root("only root may mount a tmpfs")


def contents(folder: Path) -> dict[str, str]:
    return {
        f"{name}/{leaf}": (folder / name / leaf).read_text() for name in FOLDERS for leaf in ("file", "link")
    }


@needs_mounts
@pytest.mark.mount
@pytest.mark.parametrize("capture", ["exact", "paged", "cached"])
def test_copies_keep_the_content_of_every_file(
    twins: Path, tmp_path: Path, capture: fmrw.recording.mount.CaptureMode
) -> None:
    """Tar and cp take files of equal device and inode number for one, and keep the second as a link to the first."""
    expected = contents(twins)
    copy, unpacked = tmp_path / "copy", tmp_path / "unpacked"
    unpacked.mkdir()
    with fmrw.mount(twins, capture=capture, reports="off"):
        subprocess.run(["cp", "-a", twins, copy], check=True)
        archive = subprocess.run(["tar", "-C", twins, "-c", "."], check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-C", unpacked, "-x"], input=archive, check=True)
    for made in (copy, unpacked):
        assert contents(made) == expected
        assert (made / "one" / "file").samefile(made / "one" / "link")
        assert not (made / "one" / "file").samefile(made / "two" / "file")


@needs_mounts
@pytest.mark.mount
def test_a_listing_names_the_numbers_that_a_look_gives(twins: Path) -> None:
    (twins / "own").touch()
    own = (twins / "own").stat().st_ino
    with fmrw.mount(twins, reports="off"):
        assert (twins / "own").stat().st_ino == own  # of the directory's own file system: unchanged
        for folder in (twins / "one", twins / "two"):
            with os.scandir(folder) as entries:
                assert {entry.inode() for entry in entries} == {(folder / "file").stat().st_ino}
        with (twins / "one" / "file").open() as file:
            assert os.fstat(file.fileno()).st_ino == (twins / "one" / "link").stat().st_ino


@needs_mounts
@pytest.mark.mount
def test_an_open_file_is_not_taken_for_another_of_its_number(twins: Path) -> None:
    """A name that libfuse would give to an open file it hides, given by a program to a file that is not open."""
    with fmrw.mount(twins, reports="off"), (twins / "one" / "file").open():
        hidden = twins / "two" / ".fuse_hidden0123456789abcdef"
        (twins / "two" / "file").rename(hidden)
        assert (twins / "two" / "link").read_text() == "content of two"
    assert hidden.read_text() == "content of two"
