"""Recorded file: the reads and writes of one file, and the questions a view asks about them.

It answers with bins, rows of a window, processes, gaps, and the file's own bytes. Each operation has an index of its own. `update`
takes in what a live mount has added; answers are remembered until then.

Threads. One thread may call `update` while others ask.
"""

from __future__ import annotations

import os
import stat
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import polars as pl

from fmrw.analysis import ranges
from fmrw.errors import BadInput, UnknownPath
from fmrw.explorer import timeaxis
from fmrw.explorer.callsites import NO_SITES, CallSites, recorded_in
from fmrw.explorer.content import Content
from fmrw.explorer.counts import Counts
from fmrw.explorer.filters import OPS, Choice
from fmrw.explorer.palette import program_keys
from fmrw.explorer.probed import Probed
from fmrw.explorer.sampling import THINNED, again, mask_of, sampled, thinned
from fmrw.figures.page import About
from fmrw.text import path_bytes, visible
from fmrw.trace import exactness
from fmrw.trace.schema import EVENTS, transfers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from fmrw.analysis.index.cover import Offsets
    from fmrw.explorer.timeaxis import TimeAxis
    from fmrw.explorer.trace_protocol import Recording

COLUMNS = ("seq", "time", "op", "start", "end", "size", "fidelity", "handle", "pid", "tid", "process")
_SAMPLED = ("time", "start", "end", "pid", "process", "site")
_WITHOUT_SIZE = ("unlink", "rename")
_KEPT, _BINS = 4, 16  # masks and sets, answers
_ENOUGH = 4  # a sample of a quarter of those asked for is taken, where it takes no look at every access

Window = tuple[int, int]
Value = TypeVar("Value")


class RecordedFile:
    """The reads and writes of one file.

    Attributes
    ----------
    path : str
        As in the events.
    size : int
        Bytes in the file after its last event.
    page : bool
        Whether some ranges are only exact to the page.
    smallest : int or None
        Bytes of the smallest request to read.
    processes : tuple of (pid, name)
        In order of their first access.
    programs : dict of str to tuple of (pid, name)
        The processes of each program by its name, in order of its first access.
    version, last_site : int
        Grows with every event taken in; number of the newest call site, 0 if there is none.
    """

    def __init__(self, trace: Recording, path: str | os.PathLike[str]) -> None:
        self.trace = trace
        self.path = _name(trace, path)
        self.size = 0
        self.page = False
        self.smallest: int | None = None
        self.processes: tuple[tuple[int, str], ...] = ()
        self.programs: dict[str, tuple[tuple[int, str], ...]] = {}
        self.version = self.last_site = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.file = Content(self)
        self._seen = 0
        self._lock = threading.Lock()  # one thread follows while another asks
        self._columns = (*COLUMNS, "site") if recorded_in(trace) else COLUMNS
        self._rows = [pl.DataFrame(schema={name: EVENTS[name] for name in self._columns})]
        self._counts = {op: Counts(op) for op in OPS["both"]}
        self._sets: dict[tuple[Choice, int, int, str], pl.DataFrame] = {}
        self._bins: dict[tuple[str, Choice, int, bytes], pl.DataFrame] = {}
        self._repeats: dict[tuple[str, Choice, int, bytes], Offsets] = {}
        self._keys: tuple[object, dict[str, str]] = ((), {})
        self._axes: dict[tuple[str, int], TimeAxis] = {}
        self._answers: dict[Any, Any] = {}
        self._sites: dict[int, CallSites] = {}
        self._masks: dict[tuple[Choice, int], pl.Series | None] = {}
        if not self.update() and trace.live:
            self.size = _size(trace, self.path) or 0

    # Growing

    def update(self) -> bool:
        """Take in the events since the last time; tell whether there were any of this file."""
        lazy = self.trace.lazy
        total = lazy.select(pl.len()).collect().item()
        if total <= self._seen:
            return False
        own = (
            lazy.slice(self._seen, total - self._seen)
            .filter(pl.col("path") == self.path)
            .select(*self._columns, "requested")
            .collect()
        )
        self._seen = total
        if own.height:
            self._take(own if own["seq"].is_sorted() else own.sort("seq"))
        return own.height > 0

    def _take(self, own: pl.DataFrame) -> None:
        sized = own.lazy().filter(~pl.col("op").is_in(_WITHOUT_SIZE)).select("size").last().collect()
        if sized.height:
            self.size = int(sized.item())
        moved = transfers(own)
        asked = [each for each in (self.smallest, exactness.smallest_request(moved)) if each is not None]
        self.smallest, moved = min(asked, default=None), moved.drop("requested")
        if moved.height:
            self.first = self.first or moved["time"][0]
            self.last = moved["time"][-1]
        with self._lock:
            self._rows.append(moved)
            self.version += 1
        if moved.is_empty():
            return
        for counts in self._counts.values():
            counts.extend(moved)
        if "site" in moved.columns:
            self.last_site = max(self.last_site, int(moved["site"].fill_null(0).to_numpy().max()))
        self.page |= exactness.fidelity(moved) == exactness.PAGE
        pairs = moved.lazy().group_by("pid", "process", maintain_order=True).agg().collect()
        self.processes = tuple(dict.fromkeys([*self.processes, *pairs.rows()]))
        found: dict[str, list[tuple[int, str]]] = {}
        for pair in self.processes:
            found.setdefault(pair[1], []).append(pair)
        self.programs = {name: tuple(own) for name, own in found.items()}

    def prepare(self) -> None:
        """Build what filters need, before somebody waits for it."""
        for counts in self._counts.values():
            counts.prepare()

    @property
    def rows(self) -> pl.DataFrame:
        """All reads and writes that moved bytes."""
        with self._lock:
            return self._joined()

    def _joined(self) -> pl.DataFrame:
        if len(self._rows) > 1:
            self._rows = [pl.concat([part for part in self._rows if part.height] or self._rows[:1])]
        return self._rows[0]

    @property
    def live(self) -> bool:
        """Whether events may still come."""
        return self.trace.live

    # Asking

    @property
    def program_keys(self) -> dict[str, str]:
        """The key of the colour of each program that touched the file; the colour is the same in every picture of the recording."""
        if self._keys[0] != self.processes:
            keys = program_keys({*self.trace.programs, *self.programs})
            self._keys = self.processes, {name: keys[name] for name in self.programs}
        return self._keys[1]

    @property
    def commands(self) -> dict[int, str]:
        """The command line of each process, by its pid; where it changed, the last."""
        known = self.trace.processes.select("pid", "cmdline").drop_nulls()
        return {pid: visible(command) for pid, command in known.iter_rows()}

    @cached_property
    def probed(self) -> Probed:
        """What a probe found of the file."""
        return Probed.of(self.trace, self.path)

    @property
    def has_sites(self) -> bool:
        """Whether it is known, or may come to be known, which code asked for bytes."""
        known = "site" in self._columns
        return known and (self.live or self.rows["site"].null_count() < self.rows.height)

    @property
    def call_sites(self) -> CallSites:
        """Which functions asked for bytes; looked up anew when events have come."""
        rows = self.rows
        return _remembered(self._sites, self.version, lambda: CallSites(self.trace.sites, rows), 1)

    def time_axis(self, name: str) -> TimeAxis:
        """Give the way from the first to the last access, by one of `timeaxis.AXES`; remembered."""
        return _remembered(self._axes, (name, self.version), lambda: timeaxis.made(name, self.rows), 2)

    def pairs(self, wanted: Sequence[Any] | None) -> tuple[tuple[int, str], ...] | None:
        """Give the processes meant by pairs, pids or names; None for all."""
        if wanted is None:
            return None
        asked = {tuple(each) if isinstance(each, list | tuple) else each for each in wanted}
        known = {item for pid, name in self.processes for item in (pid, name, (pid, name))}
        if missing := [each for each in asked if each not in known]:
            shown = ", ".join(f"{visible(name)} [{pid}]" for pid, name in self.processes[:8]) or "none yet"
            raise UnknownPath(f"no process {visible(str(missing[0]))} touched this file: choose from {shown}")
        return tuple(pair for pair in self.processes if {pair[0], pair[1], pair} & asked)

    def sites(self, functions: Sequence[str] | None) -> tuple[int, ...] | None:
        """Give the call sites of functions, by their names as `CallSites.functions` has them; None for all."""
        if functions is None:
            return None
        if not self.has_sites:
            raise BadInput(NO_SITES)
        return self.call_sites.sites_of(functions)

    def bins(self, edges: NDArray[np.int64], op: str, choice: Choice) -> pl.DataFrame:
        """Say what one operation did in each bin, as `Index.bins` does."""
        key = (op, choice._replace(ops=op), self.version, edges.tobytes())  # a picture asks more than once
        return _remembered(self._bins, key, lambda: self._counts[op].bins(edges, choice.who()), _BINS)

    def repeats(self, edges: NDArray[np.int64], op: str, choice: Choice) -> Offsets:
        """Give `repeats` of each of the `bins` alone, for colours."""
        key = (op, choice._replace(ops=op), self.version, edges.tobytes())
        return _remembered(self._repeats, key, lambda: self._counts[op].repeats(edges, choice.who()), _BINS)

    def remembered(self, key: Any, make: Callable[[], Value]) -> Value:  # noqa: ANN401 - of any type that can be a key
        """Give an answer that was made before, or make it; few are kept, and none when events have come."""
        return _remembered(self._answers, (key, self.version), make, 2)

    def present(self, op: str) -> bool:
        """Tell whether an operation happened at all."""
        return self._counts[op].total > 0

    def chosen(self, choice: Choice) -> pl.DataFrame:
        """Give the reads and writes of a choice."""
        rows, mask = self._masked(choice)
        return rows if mask is None else rows.filter(mask)

    def sample(self, choice: Choice, window: Window, most: int) -> tuple[pl.DataFrame, int]:
        """Give who, when and where of every n-th of a choice's accesses in a window, at most `most` and, of many, at least a quarter of that; and how many there are."""
        rows, mask = self._masked(choice)
        rows = rows.select(name for name in _SAMPLED if name in rows.columns)
        within = None if window == (0, self.size) else window
        if rows.height > THINNED * most and (within is not None or mask is not None):
            few = self.remembered(("thinned", choice), lambda: thinned(rows, mask))
            found, many = again(few, within, most)
            if many * _ENOUGH >= most:
                return found, self._accesses(choice, window)
        return sampled(rows, mask, within, most)

    def _accesses(self, choice: Choice, window: Window) -> int:
        """Count a choice's reads and writes in a window, without looking at each."""
        edges = np.array(window, np.int64)
        return sum(self.bins(edges, op, choice)["accesses"].item() for op in OPS[choice.ops])

    def _masked(self, choice: Choice) -> tuple[pl.DataFrame, pl.Series | None]:
        """Give all rows, and which of them a choice lets pass; remembered, since a choice stays while one zooms."""
        with self._lock:
            key, rows = (choice, self.version), self._joined()
        return rows, _remembered(self._masks, key, lambda: mask_of(choice, rows))

    def touched(self, choice: Choice) -> pl.DataFrame:
        """Give the ranges of a choice as a set; remembered, since they are asked for again and again."""
        key = (choice, self.version, self.size, "touched")
        return _remembered(self._sets, key, lambda: self._touched(choice))

    def _touched(self, choice: Choice) -> pl.DataFrame:
        known = self._counted(choice)
        return ranges.merge(self.chosen(choice).select("start", "end") if known is None else known)

    def _counted(self, choice: Choice) -> pl.DataFrame | None:
        """Give the ranges everybody touched, where counting has found them already."""
        sets = [self._counts[op].touched for op in OPS[choice.ops] if self.present(op)]
        known = [each for each in sets if each is not None]
        if choice != Choice(choice.ops) or len(known) < len(sets):
            return None
        return pl.concat([pl.DataFrame(schema=ranges.RANGE), *known])

    def gaps(self, choice: Choice) -> pl.DataFrame:
        """Give the ranges of the file that a choice did not touch."""
        key = (choice, self.version, self.size, "gaps")
        return _remembered(self._sets, key, lambda: ranges.complement(self.touched(choice), self.size))

    @property
    def exactness(self) -> str:
        """How exact the ranges are, in words."""
        known = None if not self.processes else exactness.PAGE if self.page else exactness.BYTE
        return exactness.exactness_text(known, mapped=self.mapped)

    @property
    def mapped(self) -> bool:
        """Whether it may have been read through an unrecorded map as well."""
        return exactness.is_mapped(self.trace.facts, self.path)

    def about(self) -> About:
        """Say whose bytes a figure shows."""
        facts, command = self.trace.facts, self.trace.facts.get("command") or ()
        return About(
            self.path, self.size, processes=tuple(f"{name} [{pid}]" for pid, name in self.processes),
            page=self.page if self.processes else None, mapped=self.mapped, smallest=self.smallest, date=self.last,
            requests=sum(each.total for each in self._counts.values()), capture=exactness.capture_of(facts), command=" ".join(command) or None,
        )  # fmt: skip


def _remembered(known: dict[Any, Any], key: object, make: Callable[[], Value], most: int = _KEPT) -> Value:
    """Give a value that was made before, or make it; few are kept, and another thread may drop them at any time."""
    missing = object()
    value = known.get(key, missing)
    if value is missing:
        value = make()
        for old in list(known)[: max(len(known) - most + 1, 0)]:
            known.pop(old, None)
    known.pop(key, None)
    known[key] = value  # the last, so that it is kept longest
    return cast("Value", value)


def _name(trace: Recording, path: str | os.PathLike[str]) -> str:
    """Give a file's name in the events; of a live trace also that of a file that has no events yet."""
    try:
        return trace.resolve(path)
    except UnknownPath:
        root, text = trace.facts.get("root"), os.path.normpath(os.fspath(path))
        text = os.path.relpath(text, root) if root and os.path.isabs(text) else text  # noqa: PTH117 - text, with escapes
        if not trace.live or _size(trace, text) is None:
            raise
        return text


def _size(trace: Recording, path: str) -> int | None:
    """Give the size of a file that nothing is recorded of yet; to ask for it adds no event."""
    try:
        status = os.stat(os.path.join(os.fsencode(trace.facts.get("root") or "."), path_bytes(path)))  # noqa: PTH116, PTH118 - bytes
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
