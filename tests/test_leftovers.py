from __future__ import annotations

import getpass
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fmrw

ANY = Path(__file__).with_name("test_offsets.py")


@pytest.mark.mount
@pytest.mark.parametrize("run", ["garbage-1", "pytest-1"])
def test_a_mount_that_an_ended_run_left_hinders_no_later_run(tmp_path: Path, run: str) -> None:
    runs = tmp_path / f"pytest-of-{getpass.getuser()}"
    runs.mkdir(mode=0o700)
    (runs / "pytest-9").mkdir()
    watched = runs / run / "watched"
    watched.mkdir(parents=True)
    with fmrw.mount(watched):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", ANY],
            capture_output=True, text=True, check=False, env=os.environ | {"PYTEST_DEBUG_TEMPROOT": str(tmp_path)},
        )  # fmt: skip
        assert not watched.is_mount()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert not (runs / run).exists()
