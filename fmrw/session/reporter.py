"""Reporter: a process that gets ready while a command runs, and writes the reports of its session when that has ended.

What draws takes longer to start than most commands run. The process that waits for the command imports neither:
a helper (`fmrw.capture.reports.helper`) does, and runs `prepare` and `write_reports` of this module. Both sides are here; what the helper's
side needs is imported there.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fmrw.capture.mounts.registry import resolved
from fmrw.capture.reports.helper import Helper, is_waited_for, uncollected
from fmrw.capture.worker.own_code import code_below
from fmrw.errors import FigureError
from fmrw.text import visible

if TYPE_CHECKING:
    import os


class Reporter:
    """Writes the reports of one session in another process; a context manager, which leaves no process behind."""

    def __init__(self) -> None:
        self._helper = Helper()

    def __enter__(self) -> Self:
        """Give the reporter."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End the process, whatever it does."""
        self._helper.kill()

    def prepare(self, root: str | os.PathLike[str]) -> list[int]:
        """Let the process start and import what draws, and return at once.

        Parameters
        ----------
        root
            The directory that will be monitored. Where it holds the Python that runs fmrw, nothing is begun before its mount is
            gone: the process would load libraries through the mount, and hold it.

        Returns
        -------
        list of int
            Processes that are not to be recorded.
        """
        if code_below(str(resolved(root))):
            return []
        try:
            return [self._helper.begin(__name__, "prepare")]
        except OSError:  # no process to be had; one may be later
            return []

    def begin(self, folder: Path) -> None:
        """Let the process write a CSV and a heatmap per touched file into the folder of a session, and return at once."""
        with contextlib.suppress(BrokenPipeError):
            sys.stderr.flush()
        with contextlib.suppress(OSError):  # it died; `finish` starts another one
            self._helper.begin(*_writing(folder))

    def finish(self, folder: Path, notes: list[str]) -> list[Path]:
        """Wait for what `begin` has begun; see `fmrw.session.reports.write`.

        Raises
        ------
        FigureError, MountError
            As `fmrw.session.reports.write`; or the process died, and the one in its place did, too.
        """
        try:
            made = self._helper.finish(*_writing(folder))
        except (EOFError, BrokenPipeError) as error:
            shown = visible(str(folder))
            raise FigureError(
                f"the process that draws has died twice; the session is kept, `fmrw report {shown} -o {shown}` tries again."
            ) from error
        notes.extend(made["notes"])
        return [Path(path) for path in made["written"]]


def _writing(folder: Path) -> tuple[str, str, str, bool]:
    return __name__, "write_reports", str(folder), sys.stderr.isatty()


# In the helper


def prepare() -> None:
    """Do what the first report waits for: import what draws, start vl-convert, and draw something while nothing is to be drawn yet."""
    with uncollected():
        from fmrw.figures import render  # noqa: PLC0415 - for the helper

        render.wake()  # before the others are imported
        import fmrw.figures.heatmap  # noqa: PLC0415 - the chart that is drawn
        import fmrw.session.reports  # noqa: PLC0415 - the same
        import fmrw.session.trace  # noqa: F401, PLC0415 - the same
    if not is_waited_for():
        render.warm()


def write_reports(folder: str, shown: bool) -> dict[str, list[str]]:  # noqa: FBT001 - JSON
    """Write the reports of a session into its folder; give their names, and remarks. `shown`: progress may be seen."""
    from fmrw.session import reports  # noqa: PLC0415 - for the helper
    from fmrw.session.sources import FolderSource  # noqa: PLC0415 - the same
    from fmrw.session.trace import Trace  # noqa: PLC0415 - the same

    notes: list[str] = []
    written = reports.write(Trace(FolderSource(Path(folder))), Path(folder), notes=notes, quiet=not shown)
    return {"written": [str(path) for path in written], "notes": notes}
