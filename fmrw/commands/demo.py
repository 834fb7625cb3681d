"""`fmrw demo`: several real parsers read one polyglot under a mount, and the table shows what each one saw."""

from __future__ import annotations

import importlib.resources
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.analysis import summary
from fmrw.commands.outcome import Outcome
from fmrw.commands.tables import files_table
from fmrw.errors import SessionError
from fmrw.recording import mount
from fmrw.session import reports
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

SAMPLE = "polyglot.pdf"
PARSERS = (
    ("pdftotext", SAMPLE, "-"),
    ("unzip", "-l", SAMPLE),
    ("7z", "l", SAMPLE),
    ("file", SAMPLE),
    ("bsdtar", "tf", SAMPLE),
)
PYTHON = (
    (sys.executable, "-m", "zipfile", "-l", SAMPLE),
    (
        sys.executable,
        "-c",
        f"import hashlib; print(hashlib.sha256(open('{SAMPLE}', 'rb').read(1024)).hexdigest())",
    ),
)
_ENOUGH = 3


def samples() -> Path:
    """Give the folder of samples: in an installed package, or beside a checkout's."""
    package = Path(str(importlib.resources.files("fmrw")))
    for folder in (package / "_data", package.parent / "data"):
        if (folder / SAMPLE).exists():
            return folder
    raise SessionError(
        "the samples are missing from this installation; `pip install --force-reinstall fmrw`."
    )


def commands() -> Iterator[tuple[str, ...]]:
    """Give the parsers that are here; Python's own stand in where there are fewer than three."""
    here = [command for command in PARSERS if shutil.which(command[0])]
    yield from here
    yield PYTHON[0]
    if len(here) + 1 < _ENOUGH:
        yield PYTHON[1]


def run_demo(output: Path | None) -> Outcome:
    """Copy the samples, let every parser read the polyglot, write session and reports."""
    folder = (output or _free_folder(Path("fmrw-demo"))).absolute()
    files = folder / "samples"
    if files.exists():
        raise SessionError(f"{visible(str(folder))} holds a demo already; choose another folder with -o.")
    shutil.copytree(samples(), files, ignore=shutil.ignore_patterns("*.py", "README.md", "__pycache__"))
    with mount.mount(files, output=folder / "session", reports="aside", command=["fmrw", "demo"]) as mounted:
        statuses = {name: _parse(command, files) for command in commands() if (name := _name(command))}
    trace = mounted.trace
    notes = [f"{visible(name)} gave status {status} on it" for name, status in statuses.items() if status]
    written = reports.write(trace, folder / "session", notes=notes)
    notes.append(f"session, CSV and heatmap: {visible(str(folder / 'session'))}")
    per_parser = _by_parser(trace.of(SAMPLE))
    data = {
        "files": trace.files.to_dicts(),
        "parsers": per_parser.to_dicts(),
        "statuses": statuses,
        "session": str(folder / "session"),
        "reports": [str(path) for path in written],
    }
    shown: list[RenderableType] = [
        files_table(trace.files),
        "",
        f"{SAMPLE}, parser by parser:",
        files_table(per_parser, first="parser"),
    ]
    return Outcome(shown, data, value=trace, notes=notes)


def _name(command: tuple[str, ...]) -> str:
    return command[0] if command[0] != sys.executable else "python"


def _parse(command: tuple[str, ...], folder: Path) -> int:
    return subprocess.run(
        command, cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL
    ).returncode


def _by_parser(events: pl.DataFrame) -> pl.DataFrame:
    """Sum one file up for each process, the process in the place of the path."""
    return summary.files(events.with_columns(path=pl.col("process")))


def _free_folder(wanted: Path) -> Path:
    names: Any = (wanted if not n else wanted.with_name(f"{wanted.name}-{n + 1}") for n in range(10_000))
    free: Path = next(name for name in names if not name.exists())
    return free
