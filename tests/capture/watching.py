"""A command that is watched, and how its programs are written."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import polars as pl

import fmrw

if TYPE_CHECKING:
    from pathlib import Path


def watch(directory: Path, command: list[str], **options: Any) -> fmrw.Trace:  # noqa: ANN401 - those of `mount`
    """Give what a command does that is started in the directory."""
    with fmrw.mount(directory, **options) as mount:
        subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    assert mount.trace.facts["faults"] == 0
    return mount.trace


def shell(script: str) -> list[str]:
    return ["sh", "-ec", script]


def python(program: str) -> list[str]:
    return [sys.executable, "-c", "import os\n" + textwrap.dedent(program)]


def one(events: pl.DataFrame, **wanted: object) -> dict[str, Any]:
    return events.row(
        by_predicate=pl.all_horizontal(pl.col(name) == value for name, value in wanted.items()), named=True
    )
