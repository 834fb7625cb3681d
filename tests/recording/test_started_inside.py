"""A process whose thread serves a mount starts programs that lie below it, or begin there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mount

LONGEST_S = 120  # a regression would last for ever
OWNER = """
import json, subprocess, sys
import fmrw

root, output, options, *command = sys.argv[1:]
with fmrw.mount(root, worker="thread", output=output):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **json.loads(options))
    print(done.stdout, end="")
"""


def told(folder: Path, program: str, **options: object) -> str:
    """Give what a program says that was started from who serves the mount; whoever waits for ever is freed and fails."""
    session = folder.with_name("session")
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, folder, session, json.dumps(options), program],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        point = registry.mounted_at(folder)
        if point is not None:
            unmounting.break_connection(point)
            unmounting.detach(folder)
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "words").write_text("read\n")
    program = folder / "program"
    program.write_text('#!/bin/sh\ncat "${0%/*}/words"\n')
    program.chmod(0o755)
    return folder


OPTIONS: list[dict[str, object]] = [{}, {"close_fds": False}, {"start_new_session": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_program_that_lies_inside(options: dict[str, object], folder: Path) -> None:
    assert told(folder, f"{folder}/program", **options) == "read\n"


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_program_that_begins_inside(options: dict[str, object], folder: Path) -> None:
    assert told(folder, "./program", cwd=str(folder), **options) == "read\n"
