"""State: what a view shows, as traits; set one and the view follows, read one and know what is seen.

`State` knows numbers and names only, no widgets and no charts: the window, the filters, the looks, and where "back" leads. Whoever
draws observes it. It asks its `Targets` where the next gap or the next touched range lies.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import traitlets

from fmrw.errors import BadInput, BadRange
from fmrw.explorer.timeaxis import AXES
from fmrw.figures.grid import LARGEST, LAYOUTS, SMALLEST
from fmrw.offsets import Annotation, parse_offset, parse_range, range_text
from fmrw.text import visible

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

Window = tuple[int, int]

_PAST = 200  # windows remembered
_AROUND = 0.25  # of a gap, shown on either side of it
_LEAST_AROUND = 16
_HERE = 256  # bytes shown after "go to"
OVERLAYS = ("structure", "entropy", "annotations", "borders", "classes")
"""What may be shown beside the counts; `borders` are the places where calls begin and end, `classes` what a probe found."""


COLOURS = ("count", "program", "compare", "class", "function")
"""By what bytes may be coloured; `colouring.COLOURINGS` says how."""


class Targets(Protocol):
    """Where navigation can go in the file."""

    def gaps(self) -> pl.DataFrame:
        """Give the ranges nothing read (nothing wrote, where only writes are shown) as `start, end`, sorted."""

    def touched(self) -> pl.DataFrame:
        """Give the ranges something touched as `start, end`, sorted."""


class State(traitlets.HasTraits):
    """The state of a view.

    Attributes
    ----------
    window : tuple of int
        The half-open range of bytes that is looked at; also settable as text, "0x100-0x900".
    processes : tuple or None
        Who is shown: pairs (pid, name), pids, or names. None: everybody.
    threads, handles : tuple of int, or None
        Which are shown; None: all.
    functions : tuple of str, or None
        `module!function`: what they or those they called asked for is shown, where call sites were recorded. None: all.
    ops : str
        "both", "read" or "write".
    time_window : tuple of datetime or None, or None
        Since and until, half-open; None on either side: no limit.
    layout, side, scale
        Of the grid: "row-major" or "hilbert", cells per side, "log" or "linear".
    time_axis : str
        "order" or "clock", for the plane of time and for playback; see `timeaxis`.
    compare : tuple or None
        Who is compared, see `comparison`; None: all programs, where bytes are coloured by "compare". Setting it colours them so.
    colour : str
        By what bytes are coloured, one of `COLOURS`; "class" where the file was probed, "function" where call sites were recorded.
    theme : str
        "light" or "dark".
    overlays : tuple of str
        Some of `OVERLAYS`.
    annotations : tuple of Annotation
        Named ranges.
    where : str
        Which gap or extent was gone to last, or that there is none.
    size : int
        Bytes in the file; it grows while a mount is live.
    """

    size = traitlets.Int(0, min=0)
    window = traitlets.Any((0, 0))
    processes = traitlets.Any(None)
    threads = traitlets.Any(None)
    handles = traitlets.Any(None)
    functions = traitlets.Any(None)
    ops = traitlets.Enum(("both", "read", "write"), "both")
    time_window = traitlets.Any(None)
    layout = traitlets.Enum(tuple(LAYOUTS), "row-major")
    side = traitlets.Int(64)
    scale = traitlets.Enum(("log", "linear"), "log")
    theme = traitlets.Enum(("light", "dark"), "light")
    compare = traitlets.Any(None)
    colour = traitlets.Enum(COLOURS, "count")
    time_axis = traitlets.Enum(AXES, "order")
    overlays = traitlets.Any(("structure", "annotations", "classes"))
    annotations = traitlets.Any(())

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - traits
        self._past: list[Window] = []
        self._future: list[Window] = []
        self._moving = False
        self._visited: Window | None = None
        self.where = ""
        self.targets: Targets | None = None
        super().__init__(**values)

    # What may be set

    @traitlets.validate("window")
    def _check_window(self, proposal: Any) -> Window:  # noqa: ANN401 - traitlets' Bunch
        value = proposal["value"]
        if isinstance(value, str):
            value = parse_range(value, self.size)
        try:
            start, end = (int(edge) for edge in value)
        except (TypeError, ValueError):
            raise BadRange(f"{value!r} is not a window: write (start, end) or '0x100-0x900'") from None
        if not self.size:
            return 0, 0
        if start >= end or start >= self.size or end <= 0:
            inside = range_text(0, self.size)
            raise BadRange(f"[{start}, {end}) shows no byte of the file: stay within {inside}")
        return max(start, 0), min(end, self.size)

    @traitlets.validate("side")
    def _check_side(self, proposal: Any) -> int:  # noqa: ANN401 - as above
        side = int(proposal["value"])
        if not SMALLEST <= side <= LARGEST:
            raise BadInput(f"a grid of side {side} cannot be read: take {SMALLEST} to {LARGEST}")
        if side & (side - 1):
            raise BadInput(f"side {side}: take a power of two, such as 32, 64 or 128")
        return side

    @traitlets.validate("threads", "handles")
    def _check_numbers(self, proposal: Any) -> tuple[int, ...] | None:  # noqa: ANN401 - as above
        value = proposal["value"]
        return None if value is None else tuple(int(number) for number in value)

    @traitlets.validate("processes", "functions")
    def _check_names(self, proposal: Any) -> tuple[Any, ...] | None:  # noqa: ANN401 - as above
        value = proposal["value"]
        return None if value is None else several(value)

    @traitlets.validate("overlays")
    def _check_overlays(self, proposal: Any) -> tuple[str, ...]:  # noqa: ANN401 - as above
        value = several(proposal["value"])
        if unknown := sorted(set(value) - set(OVERLAYS)):
            raise BadInput(f"no such overlay: {visible(str(unknown[0]))}: take some of {', '.join(OVERLAYS)}")
        return value

    @traitlets.validate("annotations")
    def _check_annotations(self, proposal: Any) -> tuple[Annotation, ...]:  # noqa: ANN401 - as above
        return tuple(self._annotation(each) for each in proposal["value"])

    @staticmethod
    def _annotation(value: Any) -> Annotation:  # noqa: ANN401 - three of anything
        start, end, name = value
        if not 0 <= int(start) < int(end):
            raise BadRange(f"annotation [{start}, {end}) holds no byte: give the smaller offset first")
        return Annotation(int(start), int(end), str(name))

    @traitlets.validate("time_window")
    def _check_time(self, proposal: Any) -> tuple[datetime | None, datetime | None] | None:  # noqa: ANN401 - as above
        if proposal["value"] is None:
            return None
        since, until = proposal["value"]
        if not all(each is None or isinstance(each, datetime) for each in (since, until)):
            raise BadInput("time_window takes (since, until), each a datetime or None")
        return None if since is None and until is None else (since, until)

    # Annotations

    def annotate(self, name: str, start: int | None = None, end: int | None = None) -> None:
        """Name a range, the window if none is given; a view keeps it in the session's folder where there is one."""
        low, high = self.window
        mark = Annotation(
            low if start is None else start, high if end is None else end, name.strip() or "marked"
        )
        self.annotations = (*self.annotations, mark)

    # Where we were

    @traitlets.observe("window")
    def _remember(self, change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if not self._moving and change["old"] != (0, 0):
            self._past = [*self._past[1 - _PAST :], change["old"]]
            self._future = []

    def _move(self, window: Window) -> None:
        """Set the window without remembering where it was."""
        self._moving = True
        try:
            self.window = window
        finally:
            self._moving = False

    def back(self) -> None:
        """Show what was shown before."""
        if self._past:
            self._future.append(self.window)
            self._move(self._past.pop())

    def forward(self) -> None:
        """Undo `back`."""
        if self._future:
            self._past.append(self.window)
            self._move(self._future.pop())

    def grow(self, size: int) -> None:
        """Note a new size. The window stays, unless it was the whole file or lies outside now."""
        if size == self.size:  # the window may be on its way to somewhere, set in another thread
            return
        whole = self.window == (0, self.size)
        start, end = self.window
        self.size = size
        if whole or start >= size:
            self._move((0, size))
        elif end > size:
            self._move((start, size))

    # Navigation

    def whole(self) -> None:
        """Show the whole file."""
        self.window = (0, self.size)

    def zoom(self, factor: float, at: int | None = None, window: Window | None = None) -> None:
        """Show `factor` times as many bytes as a window (the one that is shown), an offset (the middle) staying where it is."""
        start, end = window or self.window
        if not self.size:
            return
        place = (start + end) // 2 if at is None else min(max(at, start), end - 1)
        length = min(max(round((end - start) * factor), 1), self.size)
        if length == end - start and factor > 1:
            length = min(length + 1, self.size)
        first = place - (place - start) * length // (end - start)
        first = min(max(first, 0), self.size - length)
        self.window = (first, first + length)

    def pan(self, share: float) -> None:
        """Move the window by a share of its length."""
        start, end = self.window
        first = min(max(start + round((end - start) * share), 0), self.size - (end - start))
        self.window = (first, first + end - start)

    def go_to(self, text: str) -> None:
        """Show an offset, `0x1c0`, `12 KiB` or `75%`, at the left edge; or a range, `0x100-0x900`."""
        if any(sign in text.strip()[1:] for sign in "-+"):
            self.window = parse_range(text, self.size)
            return
        offset = parse_offset(text.replace(" %", "%"), self.size)
        if offset > self.size or not self.size:
            raise BadRange(f"'{visible(text)}' lies past the end of the file: it has {self.size:,} bytes")
        start, end = self.window
        length = min(_HERE if (start, end) == (0, self.size) else end - start, self.size)
        first = min(offset, self.size - length)
        self.window = (first, first + length)

    def next_gap(self) -> bool:
        """Show the next range that nothing read; False if there is none. `where` says which it is."""
        return self._jump("gap", self._needed.gaps(), forward=True)

    def previous_gap(self) -> bool:
        """Show the range before that nothing read; of the whole file the last one."""
        return self._jump("gap", self._needed.gaps(), forward=False)

    def next_extent(self) -> bool:
        """Show the next range that something touched."""
        return self._jump("extent", self._needed.touched(), forward=True)

    def previous_extent(self) -> bool:
        """Show the range before that something touched; of the whole file the last one."""
        return self._jump("extent", self._needed.touched(), forward=False)

    @property
    def _needed(self) -> Targets:
        if self.targets is None:
            raise BadInput("this state stands for no file: use `explore`")
        return self.targets

    def _jump(self, what: str, found: pl.DataFrame, *, forward: bool) -> bool:
        at = self._next(found["start"].to_numpy(), forward=forward)
        if not 0 <= at < found.height:
            self.where = f"no {'next' if forward else 'previous'} {what}: {found.height:,} in all"
            return False
        first, last = found.row(at)
        around = max(round((last - first) * _AROUND), _LEAST_AROUND)
        self.window = (max(first - around, 0), min(last + around, self.size))
        self._visited = (first, last)
        self.where = (
            f"{what} {at + 1:,} of {found.height:,}: {range_text(first, last)}, {last - first:,} bytes"
        )
        return True

    def _next(self, starts: NDArray[np.int64], *, forward: bool) -> int:
        """Give the place of the range to go to: the one beside the range gone to last, if that is still in sight; else of the window."""
        start, end = self.window
        if self._visited is not None and self._visited[0] < end and self._visited[1] > start:
            after = int(np.searchsorted(starts, self._visited[0], "right"))
            return after if forward else int(np.searchsorted(starts, self._visited[0], "left")) - 1
        if forward:
            return int(np.searchsorted(starts, start, "left"))  # one that begins where the window does, too
        whole = (start, end) == (0, self.size)
        return len(starts) - 1 if whole else int(np.searchsorted(starts, start, "left")) - 1


def several(value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - what a user writes
    """Make a tuple of one thing or of many."""
    return (value,) if isinstance(value, str | int) else tuple(value)
