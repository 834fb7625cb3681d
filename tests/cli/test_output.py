"""Standard output that takes nothing: one line, a status, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LOG = """7 openat(AT_FDCWD, "/x/a", O_RDONLY) = 3</x/a>
7 read(3</x/a>, "a"..., 10) = 10
7 +++ exited with 0 +++
"""


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "JSON"])
def test_a_full_disk_below_standard_output_is_told_in_a_line(tmp_path: Path, options: list[str]) -> None:
    log = tmp_path / "log"
    log.write_text(LOG)
    with open(os.open("/dev/full", os.O_WRONLY), "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "fmrw", "files", log, *options],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.stderr.splitlines() == [
        "fmrw: standard output: No space left on device; write to another place."
    ]
    assert done.returncode == 1
