"""View: one file of a recording as it is shown, drawn anew whenever a trait changes; no widgets.

A `View` is a `State` that knows its file: `recorded_file` holds the events, `scene` is the picture, `playback` moves the time,
`gestures` reads the pointer. Whoever shows it (`Display`) is told of each new scene.

Errors. Setting a trait to what cannot be raises, in the cell that did it. What goes wrong later, in a gesture, a button, a background thread
or while drawing, is kept in `problem`, which is shown under the widget.

Threads. Gestures come from the main thread or, with kernels that have subshells, from a thread of one, also while a cell runs; `follow` from the
poller's, the format of the file from a third; a lock lets one draw at a time.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import traitlets

from fmrw.errors import FmrwError
from fmrw.explorer import export, offered, summary
from fmrw.explorer.comparison import Opener, Side, sides
from fmrw.explorer.filters import FILTERS, Choice
from fmrw.explorer.gestures import Gestures
from fmrw.explorer.palette import PALETTES
from fmrw.explorer.playback import Playback
from fmrw.explorer.poller import Poller
from fmrw.explorer.recorded_file import RecordedFile
from fmrw.explorer.scene import Scene, draw
from fmrw.explorer.shortcuts import JUMPS, SHORTCUTS
from fmrw.explorer.state import State
from fmrw.figures import theme
from fmrw.figures.theme import Look
from fmrw.formats.csv.log import write_csv
from fmrw.offsets import range_text

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import altair as alt
    import polars as pl

    from fmrw.explorer.layout import Spot
    from fmrw.explorer.trace_protocol import Recording

WIDTH, TEXT = 900, 11
_UPRIGHT = 480  # pixels below which the grid stands above the tracks
_ROWS, _ROW = 4, 1.4  # tracks of programs that any picture has room for; units of text that another takes
DRAWN = ("size", "window", "processes", "threads", "handles", "functions", "ops", "time_window", "layout", "side", "scale", "compare", "colour", "time_axis", "theme", "width", "overlays", "annotations")  # fmt: skip
"""Traits that change the picture."""

_log = logging.getLogger(__name__)


class Display(Protocol):
    """What shows a view; the widgets are one."""

    def show(self, scene: Scene) -> None:
        """Show another picture."""

    def look_again(self) -> None:
        """Show the bytes as they are now."""

    def close(self) -> None:
        """Take it from the screen."""


class View(State):
    """A view of one file; see `State`.

    Attributes
    ----------
    recorded, scene : RecordedFile, Scene
        The file's events, and what was drawn last.
    width : int
        Of the picture on the screen, in pixels; follows the room there is.
    seen, last_site : tuple of (pid, name), int
        The processes there are, in order of their first access; the newest call site.
    problem, hover : str
        What went wrong last, or ""; what lies under the pointer.
    playback, opener : Playback, Opener or None
        Moves the time that is shown; opens other recordings, to compare with.
    """

    width = traitlets.Int(WIDTH, min=320, max=4000)
    seen = traitlets.Any(())
    last_site = traitlets.Int(0)
    problem = traitlets.Unicode("")
    hover = traitlets.Unicode("")

    def __init__(self, trace: Recording, path: str | os.PathLike[str], **state: Any) -> None:  # noqa: ANN401 - traits
        self._lock = threading.RLock()
        self._display: Display | None = None
        self._growing = False
        self.opener: Opener | None = None
        self._theme_chosen = "theme" in state
        self._preparing: threading.Thread | None = None
        self.recorded = RecordedFile(trace, path)
        size = self.recorded.size
        super().__init__(size=size, seen=self.recorded.processes)
        self.targets = _Targets(self)
        self._move((0, size))
        for name, value in {"annotations": trace.annotations(self.recorded.path), **state}.items():
            setattr(self, name, value)
        self.gestures = Gestures(self)
        self.playback = Playback(self)
        self.scene: Scene = self._drawn(self.look)
        self.observe(self._changed, list(DRAWN))
        self.observe(self._keep, "annotations")
        self._begin_parsing()
        self._poller = Poller(self) if trace.live else None

    # What is shown

    @property
    def choice(self) -> Choice:
        """The filters, as recorded files are asked."""
        since, until = self.time_window or (None, None)
        pairs = self.recorded.pairs(self.processes)
        sites = self.recorded.sites(self.functions)
        return Choice(self.ops, pairs, self.threads, self.handles, since, until, self.functions, sites)

    def follow_theme(self, theme: str) -> None:
        """Take on the theme of the page, unless one was asked for when the view was made."""
        if not self._theme_chosen:
            self.theme = theme

    @property
    def look(self) -> Look:
        """The look on the screen."""
        height = min(max(self.width * 0.62, 480), 640) if self.width >= _UPRIGHT else self.width * 1.1 + 300
        named = self.recorded.call_sites.keys if self.colour == "function" else self.recorded.programs
        lanes = min(len(named), 7)
        classes = min(len(self.compare or self.recorded.programs), 12) + 3 if self.colour == "compare" else 0
        height += TEXT * _ROW * max(lanes + classes + len(self.recorded.probed.commands) - _ROWS, 0)
        return Look(width=self.width, height=round(height), text=TEXT, palette=PALETTES[self.theme])

    def _drawn(self, look: Look) -> Scene:
        with self._lock:
            return draw(self.recorded, self, self.choice, look)

    def data(self) -> pl.DataFrame:
        """Give what is shown, one row per cell of the grid.

        Returns
        -------
        frame of `start`, `end` and per operation `read_accesses`, `read_bytes`, `read_distinct`, `read_repeats`
            Calls that share a byte with the cell; bytes with repeats counted; different bytes; and the greatest number of times
            any one byte of the cell was read, which is what the colour shows. Of the filters chosen.
        """
        with self._lock:
            return self.scene.cells

    def events(self) -> pl.DataFrame:
        """Give the reads and writes that are shown, all columns of a trace."""
        return export.events(self.recorded, self.window, self.choice)

    def chart(self, look: Look | None = None) -> alt.LayerChart:
        """Give the altair chart of what is shown, in any look."""
        return self._altair(self.scene if look is None else self._drawn(look))

    def _altair(self, scene: Scene) -> alt.LayerChart:
        from fmrw.explorer import chart  # noqa: PLC0415 - altair takes a second, and a picture is shown before

        told = f"reads and writes of {range_text(*self.window)}"
        return chart.chart(scene.canvas, self.recorded.about(), told)

    def export(
        self,
        path: str | os.PathLike[str] = "",
        *,
        preset: str = "slide-16x9",
        scale: float = 2,
        overwrite: bool = False,
    ) -> Path:
        """Write what is shown to a file: the window, the filters, the annotations; give its name.

        Parameters
        ----------
        path
            The format is its ending: pdf, svg, png, html; csv writes the accesses. "": a name made from the window, PDF.
            A file of that name is kept, and another written beside it, "x-2.pdf".
        preset
            One of `fmrw.figures.theme.PRESETS`.
        scale
            Pixels per point of a PNG.
        overwrite
            Whether a file of that name is replaced instead.

        Raises
        ------
        FigureError
            Unknown format or preset, or the file cannot be written.
        """
        target = Path(path or self.export_name("pdf"))
        kind = target.suffix.removeprefix(".").lower()
        if kind == "csv":
            target = export.write(b"", target, overwrite=overwrite)
            write_csv(self.events(), target)
            return target
        scene = self._drawn(theme.preset(preset))
        return export.write(
            export.picture(self._altair(scene), scene, kind, scale), target, overwrite=overwrite
        )

    def export_name(self, kind: str) -> str:
        """Make a file name from the file's own and the window."""
        return export.name(self.recorded.path, self.window, kind)

    # Annotations

    def _keep(self, change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        self.attempt(lambda: self.recorded.trace.annotate(self.recorded.path, change["new"]))

    def press(self, key: str) -> None:
        """Do what a key does to the window, and say which gap or extent that is."""
        if key in SHORTCUTS:
            SHORTCUTS[key].act(self)
        if key in JUMPS:
            self.hover = self.where

    # Drawing again

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something in answer to the user; show what goes wrong instead of raising it into the void."""
        self.problem = ""
        try:
            act()
        except FmrwError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001 - shown under the widget, since a callback has nobody to raise to
            _log.debug("in a view", exc_info=True)
            self.problem = f"{type(error).__name__}: {error}"

    def _changed(self, change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if change["name"] in FILTERS:
            self.hover = ""  # it told of accesses that may not be shown any more
        if not self._growing:
            self.problem = ""
            self._show()

    @traitlets.validate("processes", "functions")
    def _check_names(self, proposal: Any) -> tuple[Any, ...] | None:  # noqa: ANN401 - traitlets' Bunch
        chosen: tuple[Any, ...] | None = super()._check_names(proposal)
        known = self.recorded.sites if proposal["trait"].name == "functions" else self.recorded.pairs
        known(chosen)  # raises where nobody is meant
        return chosen

    @traitlets.validate("colour")
    def _check_colour(self, proposal: Any) -> str:  # noqa: ANN401 - as above
        return offered.colour(self.recorded, proposal["value"])

    @traitlets.validate("compare")
    def _check_compare(self, proposal: Any) -> tuple[Side, ...] | None:  # noqa: ANN401 - traitlets' Bunch
        value = proposal["value"]
        return None if value is None else sides(self.recorded, value)

    @traitlets.observe("compare")
    def _compared(self, change: Any) -> None:  # noqa: ANN401 - as above
        if change["new"] is not None:
            self.colour = "compare"
        elif self.colour == "compare":
            self.colour = "count"

    def _show(self) -> None:
        """Draw, and replace what the browser shows."""
        try:
            with self._lock:
                self.scene = self._drawn(self.look)
                if self._display is not None:
                    self._display.show(self.scene)
        except Exception as error:  # noqa: BLE001 - as in `attempt`
            _log.debug("while drawing", exc_info=True)
            self.problem = str(error) if isinstance(error, FmrwError) else f"{type(error).__name__}: {error}"

    def follow(self) -> bool:
        """Take in what a live recording has added; False when nothing more will come."""
        with self._lock:
            live = self.recorded.live
            if self.recorded.update():
                self._growing = True  # size and window change together, and are drawn once
                try:
                    self.grow(self.recorded.size)
                finally:
                    self._growing = False
                self.seen, self.last_site = self.recorded.processes, self.recorded.last_site
                self._show()
                stale = self._parsed != self.recorded.size or self.recorded.file.structure is None
                if stale and not self._parsing.is_alive():
                    self._begin_parsing()
            elif self._display is not None:
                self._display.look_again()  # the file may have gone without an event
        return live

    def _begin_parsing(self) -> None:
        """Look for the file's format in the background, since a hostile file can keep a parser busy."""
        self._parsed = self.recorded.size
        self._parsing = threading.Thread(target=self._parse, name="fmrw-structure", daemon=True)
        self._parsing.start()

    def _parse(self) -> None:
        if not self.recorded.file.parse() and "structure" in self.overlays:
            self._show()

    def prepare(self) -> None:
        """Get ready in the background for filters, which need an index that a first picture does without."""
        if self._preparing is None:
            self._preparing = threading.Thread(target=self.recorded.prepare, name="fmrw-index", daemon=True)
            self._preparing.start()

    def settle(self, timeout_s: float = 10) -> bool:
        """Wait until the format of the file is known; tell whether it is."""
        self._parsing.join(timeout_s)
        return not self._parsing.is_alive()

    def close(self) -> None:
        """Stop following and playing, and take the widgets away."""
        self.playback.pause()
        if self._poller is not None:
            self._poller.stop()
        if self._display is not None:
            self._display.close()
            self._display = None

    # Bytes and places

    def tell(self, spot: Spot) -> str:
        """Say what is known of the bytes under the pointer."""
        return self.tell_range(spot.start, spot.end)

    def tell_range(self, start: int, end: int) -> str:
        """Say what is known of some bytes: how often, by whom and when they were touched, and what they are."""
        return summary.tell(self.recorded, self.choice, start, end)


class _Targets:
    """What navigation asks, of the filters chosen."""

    def __init__(self, view: View) -> None:
        self._view = view

    def gaps(self) -> pl.DataFrame:
        choice = self._view.choice
        return self._view.recorded.gaps(choice if choice.ops == "write" else choice._replace(ops="read"))

    def touched(self) -> pl.DataFrame:
        return self._view.recorded.touched(self._view.choice)
