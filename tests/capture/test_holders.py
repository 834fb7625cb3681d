"""Who keeps a mount busy, and who only seems to."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import fmrw
from fmrw.capture.mounts import unmount
from fmrw.capture.mounts.holders import Holder, holders
from fmrw.capture.mounts.registry import mounted_at
from fmrw.errors import Busy

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mount

MAPS = """
import mmap, os, sys
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
os.closerange(3, 20)  # mmap keeps a descriptor of its own
print("mapped", flush=True)
sys.stdin.read()
"""


def who(directory: Path) -> dict[int, Holder]:
    point = mounted_at(directory)
    assert point is not None
    return {holder.pid: holder for holder in holders(point.id, point.minor)}


def test_who_stood_there_before_holds_nothing(directory: Path) -> None:
    with (
        subprocess.Popen(["cat"], cwd=directory, stdin=subprocess.PIPE) as before,
        fmrw.mount(directory),
        subprocess.Popen(["cat"], cwd=directory, stdin=subprocess.PIPE) as after,
    ):
        found = who(directory)
        assert before.pid not in found
        assert found[after.pid] == Holder(after.pid, os.getpid(), "cat", works=True)


@pytest.mark.usefixtures("mounted")
def test_who_maps_a_file_is_told_from_who_works_there(directory: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAPS, directory / "polyglot.pdf"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mapped\n"
        assert not who(directory)[process.pid].works
        with pytest.raises(Busy, match=rf"\({process.pid}\)"):
            unmount.unmount(directory)
        process.communicate(b"")


def test_a_look_in_passing_is_waited_for(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, said = unmount._fusermount_u, iter(["Device or resource busy"] * 3)

    def passing(root: Path, *flags: str) -> subprocess.CompletedProcess[str]:
        busy = next(said, None)
        return real(root, *flags) if busy is None else subprocess.CompletedProcess([], 1, "", busy)

    with fmrw.mount(directory):
        monkeypatch.setattr(unmount, "_fusermount_u", passing)
        assert unmount.unmount(directory)
        assert next(said, None) is None


def test_who_cannot_be_looked_at_is_told_as_that(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = subprocess.CompletedProcess([], 1, "", "Device or resource busy")
    with fmrw.mount(directory):
        with monkeypatch.context() as patched:
            patched.setattr(unmount, "_LOOK_S", 0.1)
            patched.setattr(unmount, "_fusermount_u", lambda *_: busy)
            with pytest.raises(Busy, match="a process that cannot be looked at"):
                unmount.unmount(directory)
        assert mounted_at(directory) is not None
