"""Reporter: writes the reports of a run, with a process that draws and gets ready while the command runs.

vl-convert takes longer to start than most commands run, and can abort the process it is in. So a helper (`fmrw.capture.reports.helper`) starts it
early, and draws; the frames stay here, where the recording is: the helper gets a chart as Vega-Lite, and imports no polars. While it draws a file,
this process gets the next one ready, or the tables that are shown. What the helper's side needs is imported there.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fmrw.capture.mounts.registry import resolved
from fmrw.capture.reports.helper import Helper, is_waited_for, uncollected
from fmrw.capture.worker.own_code import code_below
from fmrw.errors import FigureError
from fmrw.text import typed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from fmrw.figures.render import Chart


class Reporter:
    """Writes the reports of one session, and has them drawn by another process; a context manager, which leaves no process behind."""

    def __init__(self) -> None:
        self._helper = Helper()
        self._drawn: tuple[dict[str, Any], Path] | None = None
        self._folder = Path()
        self._notes: list[str] = []
        self._rest: Callable[[], list[Path]] = list

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
        """Write a CSV and a heatmap per touched file into the folder of a sealed session; the last heatmap is drawn when this has returned.

        Raises
        ------
        FigureError, MountError
            As `fmrw.session.reports.write`; or the process died, and the one in its place did, too.
        """
        with uncollected():
            from fmrw.session import reports  # noqa: PLC0415 - polars, once the mount has started
            from fmrw.session.sources import FolderSource  # noqa: PLC0415 - the same
            from fmrw.session.trace import Trace  # noqa: PLC0415 - the same

        self._folder, self._notes = folder, []
        self._rest = reports.begin(Trace(FolderSource(folder)), folder, notes=self._notes, artist=self)

    def finish(self, notes: list[str]) -> list[Path]:
        """Wait for what `begin` has begun; give the reports, and append what is to be said of them.

        Raises
        ------
        FigureError
            As `begin`.
        """
        written = self._rest()
        notes.extend(self._notes)
        return written

    # As an artist

    def draw(self, chart: Chart, target: Path) -> None:
        """Let the process draw a chart into a file, once it has drawn the one before; see `fmrw.session.reports.Artist`."""
        self.wait()
        self._drawn = chart if isinstance(chart, dict) else chart.to_dict(validate=False), target
        with contextlib.suppress(OSError):  # it died; `wait` starts another one
            self._helper.begin(*_drawing(*self._drawn))

    def wait(self) -> None:
        """Wait until the process has drawn what it was given last."""
        if self._drawn is None:
            return
        (spec, target), self._drawn = self._drawn, None
        try:
            self._helper.finish(*_drawing(spec, target))
        except (EOFError, BrokenPipeError) as error:
            folder = typed(self._folder)
            raise FigureError(
                f"the process that draws has died twice; the session is kept, `fmrw report {folder} -o {folder}` tries again."
            ) from error
        except OSError as error:
            from fmrw.session.reports import unwritable  # noqa: PLC0415 - as in `begin`

            raise unwritable(target, error) from error


def _drawing(spec: dict[str, Any], target: Path) -> tuple[str, str, dict[str, Any], str]:
    return __name__, "draw", spec, str(target)


# In the helper


def prepare() -> None:
    """Do what the first figure waits for: start vl-convert, import the rest, and draw something while nothing is to be drawn yet."""
    with uncollected():
        from fmrw.figures import render  # noqa: PLC0415 - for the helper

        render.wake()  # before pikepdf is imported
        import pikepdf  # noqa: F401, PLC0415 - what `render.pdf` imports
    if not is_waited_for():
        render.warm()


def draw(spec: dict[str, Any], target: str) -> None:
    """Draw Vega-Lite as PDF into a file."""
    from fmrw.figures import render  # noqa: PLC0415 - for the helper

    Path(target).write_bytes(render.pdf(spec))
