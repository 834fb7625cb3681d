"""`fmrw demo`: several real parsers read one polyglot under a mount, and the table shows what each one saw."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from fmrw.commands.outcome import Outcome
from fmrw.commands.tables import programs_table
from fmrw.errors import SessionExists
from fmrw.recording import mount
from fmrw.session import reports
from fmrw.session.samples import SAMPLE, samples
from fmrw.text import name_text, typed, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

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
_NEXT = """
Go on with:
    fmrw gaps {session}:unzip {sample}
    fmrw diff {session}:pdftotext {session}:unzip
    fmrw report {session} -o figures --chart lanes,heatmap --format pdf,svg"""


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
    if folder.is_dir() and any(folder.iterdir()):
        raise SessionExists(f"{visible(str(folder))} is there already; choose a new folder with -o.")
    shutil.copytree(samples(), files, ignore=shutil.ignore_patterns("*.py", "README.md", "__pycache__"))
    with mount.mount(files, output=folder / "session", reports="aside", command=["fmrw", "demo"]) as mounted:
        statuses = {name: _parse(command, files) for command in commands() if (name := _name(command))}
    trace = mounted.trace
    notes = [f"{visible(name)} gave status {status} on it" for name, status in statuses.items() if status]
    written = reports.write(trace, folder / "session", notes=notes)
    notes.append(f"session, CSV and heatmap: {visible(str(folder / 'session'))}")
    data = {
        "files": trace.files.to_dicts(),
        "parsers": trace.by_program(SAMPLE).to_dicts(),
        "statuses": statuses,
        "session": name_text(folder / "session"),
        "reports": [name_text(path) for path in written],
    }
    session = typed(_short(folder / "session"))
    shown: list[RenderableType] = [
        Text(
            f"{SAMPLE} is a PDF and a ZIP at once. {len(statuses)} programs have read it, and this is what each asked for:\n"
        ),
        programs_table(trace.by_program(), trace.files, trace.programs),
        Text(_NEXT.format(session=session, sample=SAMPLE)),
    ]
    return Outcome(shown, data, value=trace, notes=notes)


def _short(path: Path) -> str:
    """Write a path as it would be typed from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _name(command: tuple[str, ...]) -> str:
    return command[0] if command[0] != sys.executable else "python"


def _parse(command: tuple[str, ...], folder: Path) -> int:
    return subprocess.run(
        command, cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL
    ).returncode


def _free_folder(wanted: Path) -> Path:
    names: Any = (wanted if not n else wanted.with_name(f"{wanted.name}-{n + 1}") for n in range(10_000))
    free: Path = next(name for name in names if not name.exists())
    return free
