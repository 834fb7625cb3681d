"""What the commands that ask do, as functions of the same names, for marimo, scripts and whatever knows no magics.

    fmrw.gaps("samples/debian.iso")     # as `%fmrw gaps samples/debian.iso`
    fmrw.gaps(trace, "debian.iso")      # of a trace at hand

A recording is a `Trace` or whatever a command takes: a session folder, a directory monitored now, a file below one, a CSV, a strace log.
What a command shows is left out; what a notebook would keep of it is returned. `mount`, `unmount`, `run` and `status` live elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmrw.commands import compare, query
from fmrw.commands.outcome import located, only_file
from fmrw.session.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from fmrw.explorer.browse import Browser
    from fmrw.explorer.explorer import Explorer
    from fmrw.offsets import Annotation
    from fmrw.recording.doctor import Finding

Recording = Trace | str | os.PathLike[str]


def view(recording: Recording, path: str | None = None) -> Explorer | Browser:
    """Explore a file, or choose among the files of a recording."""
    trace, chosen = _found(recording, path)
    return query.shown(trace, chosen)


def coverage(recording: Recording, path: str | None = None) -> dict[str, Any]:
    """Give what was read and written of a file, and its gaps, as lists of [start, end); see `fmrw coverage --json`."""
    return query.coverage_of(*_file(recording, path))


def gaps(recording: Recording, path: str | None = None) -> pl.DataFrame:
    """Describe every range of a file that was never read, the most remarkable first: content, entropy, verdict."""
    return query.gap_report(*_file(recording, path))


def report(
    recording: Recording,
    *paths: str,
    output: str | os.PathLike[str] = ".",
    formats: Sequence[str] = ("csv", "pdf"),
    charts: Sequence[str] = ("heatmap",),
    preset: str = "page",
    annotations: Sequence[Annotation] = (),
) -> list[Path]:
    """Write data and figures of files, or of every file that was touched; see `fmrw report --help`."""
    from fmrw.figures import theme  # noqa: PLC0415
    from fmrw.session import reports  # noqa: PLC0415 - heavy imports only where needed

    trace, _ = _found(recording, None)
    chosen = [trace.resolve(path) for path in paths] or None
    style = reports.Style(charts, theme.preset(preset), annotations)
    return reports.write(trace, Path(output), formats, paths=chosen, style=style)


def diff(a: str, b: str, path: str | None = None) -> pl.DataFrame:
    """Compare what two recordings, or two processes (`RECORDING:PROCESS`), read of a file: ranges, and who read each."""
    return compare.compared(a, b, path)[0]


def doctor() -> list[Finding]:
    """Check what this machine needs; a finding that is not well ends with its cure."""
    from fmrw.recording.doctor import examine  # noqa: PLC0415 - heavy imports only where needed

    return examine()


def _found(recording: Recording, path: str | None) -> tuple[Trace, str | None]:
    return (recording, path) if isinstance(recording, Trace) else located(os.fspath(recording), path)


def _file(recording: Recording, path: str | None) -> tuple[Trace, str]:
    trace, chosen = _found(recording, path)
    return trace, chosen if chosen is not None else only_file(trace, str(trace.root or "this recording"))
