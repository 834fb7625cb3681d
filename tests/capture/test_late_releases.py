"""What is still open when the mount is gone: the unmount overtakes the kernel's last notices."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fmrw.capture.recorder.journal import Journal
from fmrw.capture.reports.files import ReportFiles

if TYPE_CHECKING:
    from pathlib import Path


def opened() -> set[str]:
    """Give the numbers of this process's descriptors; the listing's own is gone again."""
    return {name for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")}  # noqa: PTH208 - names


def test_what_the_unmount_kept_from_being_released_is_closed(tmp_path: Path) -> None:
    for name in ("watched", "journal"):
        (tmp_path / name).mkdir()
    (tmp_path / "watched" / "file").write_bytes(b"content")
    root, recorded = (
        os.open(tmp_path / name, os.O_RDONLY | os.O_DIRECTORY) for name in ("watched", "journal")
    )
    journal = Journal(recorded)
    makers = {b".csv": lambda _path: os.memfd_create("report")}
    operations = ReportFiles(root, journal, makers=makers, shown="beside")
    before = opened()
    operations.open(b"/file", os.O_RDONLY)
    operations.open(b"/file.csv", os.O_RDONLY)
    operations.opendir(b"/")
    operations._park(b"/file", b"/.fuse_hidden0123456789abcdef")
    assert len(opened() - before) >= 4
    operations.close()
    assert opened() <= before
    operations.close()  # once more
    journal.close()
    for fd in (root, recorded):
        os.close(fd)
