"""Filters: which reads and writes are shown, by operation, process, thread, handle, function and time.

A `Choice` is a plain value. It can be compared, used as a key, and told in words; the index and the rows are asked with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.text import brief, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

OPS = {"both": ("read", "write"), "read": ("read",), "write": ("write",)}
"""What `ops` may be, and the operations each value shows."""

FILTERS = ("ops", "processes", "threads", "handles", "functions", "time_window")
"""The traits of a view that filter."""

_NAMED = 3  # of those a filter lets pass
_TIME = "%H:%M:%S.%f"


class Choice(NamedTuple):
    """Which reads and writes are shown; None lets everybody pass."""

    ops: str = "both"
    processes: tuple[tuple[int, str], ...] | None = None
    threads: tuple[int, ...] | None = None
    handles: tuple[int, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    functions: tuple[str, ...] | None = None
    sites: tuple[int, ...] | None = None
    """The call sites of these functions, which are what is asked for."""

    def told(self) -> str:
        """Say what is left out, for those who see the picture and not the filter; "" where nothing is."""
        processes = [f"{visible(name)} [{pid}]" for pid, name in self.processes or ()]
        functions = [brief(name) for name in self.functions or ()]
        parts = [
            "" if self.ops == "both" else f"{self.ops}s",
            _some("", processes, self.processes),
            _some("thread ", self.threads or (), self.threads),
            _some("handle ", self.handles or (), self.handles),
            _some("", functions, self.functions, "function"),
            f"from {self.since:{_TIME}}" if self.since else "",
            f"until {self.until:{_TIME}}" if self.until else "",
        ]
        said = ", ".join(part for part in parts if part)
        return f"only {said}" if said else ""

    def of(self, processes: tuple[tuple[int, str], ...]) -> Choice:
        """Give the choice of some of the processes, among those it shows."""
        mine = self.processes
        return self._replace(
            processes=processes if mine is None else tuple(each for each in processes if each in mine)
        )

    def who(self) -> dict[str, Any]:
        """Give it as arguments of `Index.bins` and `Filter.of`, without the operation."""
        named = {"processes": self.processes, "tids": self.threads, "handles": self.handles}
        named |= {"sites": self.sites}
        return named | {"since": self.since, "until": self.until}


def _some(what: str, names: Sequence[object], chosen: object | None, kind: str = "process") -> str:
    """Name the first of those that were chosen; "" where nobody chose."""
    if chosen is None:
        return ""
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return " and ".join([f"{what}{name}" for name in names[:_NAMED]] + more) or f"no {what or kind}".strip()
