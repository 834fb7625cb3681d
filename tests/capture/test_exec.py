"""An `execve` that closes files of the mount: the kernel holds a lock that most of `/proc/<pid>` waits for meanwhile."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

import fmrw

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mount

FORKS = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)  # closed by execve
for _ in range(20):
    if not os.fork():
        os.execv("/bin/true", ["true"])
    os.wait()
os.close(fd)
"""


def test_a_child_that_execs_waits_for_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with fmrw.mount(tmp_path) as mount:
        program = subprocess.Popen([sys.executable, "-c", FORKS, tmp_path / "file"])
        try:
            assert program.wait(600) == 0
        except subprocess.TimeoutExpired:
            mount.unmount(abort=True)
            raise
    closes = mount.trace.events.filter(pl.col("op") == "close")
    assert closes["tid"].to_list() == [program.pid]
