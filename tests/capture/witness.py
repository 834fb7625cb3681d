"""The same command under strace without a mount, and under fmrw: what each tells."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import polars as pl

import fmrw
from fmrw.formats.strace.log import read_strace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOVED = ("read", "write")
Calls = list[tuple[Any, ...]]


def under_strace(command: Sequence[str], folder: Path) -> pl.DataFrame:
    log = folder.parent / "strace.log"
    sizes = {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    subprocess.run(
        ["strace", "-f", "-y", "-ttt", "-o", str(log), *command],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return read_strace(log, root=folder, sizes=sizes)


def under_fmrw(command: Sequence[str], folder: Path, **options: str) -> pl.DataFrame:
    inside = ["sh", "-c", 'cd "$1" && shift && exec "$@" </dev/null >/dev/null 2>&1', "sh", str(folder)]
    done = fmrw.run([*inside, *command], folder, **options)
    assert done.status == 0
    assert done.trace.facts["faults"] == 0
    assert done.trace.facts["lost"] == 0
    return done.trace.events


def told(events: pl.DataFrame, *columns: str) -> dict[str, Calls]:
    """Give the calls that moved bytes, per file, in order."""
    moved = events.filter(pl.col("op").is_in(MOVED))
    chosen = ("process", "op", "start", "end", *columns)
    return {
        str(path): frame.select(chosen).rows()
        for (path,), frame in moved.group_by("path", maintain_order=True)
    }
