"""Call sites: which function asked for the bytes of the file, where a recording has that (`Trace.sites`).

What a site is called by, `fmrw.analysis.sites.stacks` says (`names`). The functions that moved most bytes have
colours of their own, which do not change with window and filters; filters ask for any function on a stack. Names are looked up when they are first needed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.index.cover import Cover
from fmrw.analysis.sites import stacks
from fmrw.errors import UnknownPath
from fmrw.explorer.palette import SEVERAL
from fmrw.text import brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from fmrw.explorer.trace_protocol import Recording

COLOURS = tuple(f"p{number}" for number in range(12))
"""The palette's keys of functions, of that with most bytes first."""

OTHERS, NONE = "faint", "h"
"""The keys of further functions, and of calls without a site."""

NO_SITES = "no call sites were recorded of this file: record with `--sites`"

_TOLD, _FRAMES, _OFFERED = 3, 12, 8  # functions, frames of a chain, functions to choose from, said at once


def recorded_in(trace: Recording) -> bool:
    """Tell whether a recording numbers its call sites."""
    return bool((trace.facts.get("options") or {}).get("sites"))


class CallSites:
    """The functions that asked for bytes of one file.

    Attributes
    ----------
    keys : dict
        The palette's key by `module!function`, the one that moved most bytes first; `OTHERS` behind the first twelve.
    """

    def __init__(self, sites: pl.DataFrame, rows: pl.DataFrame) -> None:
        several = "session" in sites.columns  # sets of recordings, which number the same sites differently
        self._chains: Mapping[int, stacks.Chain] = {} if several else stacks.chains(sites)
        self._names = stacks.names(self._chains)
        size = (pl.col("end") - pl.col("start")).sum().alias("bytes")
        moved = rows.filter(pl.col("site").is_not_null()).group_by("site").agg(size)
        self._moved = {site: int(count) for site, count in moved.iter_rows() if site in self._names}
        order = stacks.ranked(rows, self._names)
        self.keys = {name: COLOURS[at] if at < len(COLOURS) else OTHERS for at, name in enumerate(order)}

    @cached_property
    def functions(self) -> dict[str, tuple[tuple[int, ...], int]]:
        """The sites on whose stacks each function stands, and the bytes they moved: first those that asked, then the program's own (`stacks.own`), by bytes."""
        found: dict[str, list[int]] = {name: [] for name in self.keys}
        for site in self._moved:
            for name in dict.fromkeys(frame.plain for frame in stacks.shown(self._chains[site])):
                found.setdefault(name, []).append(site)
        told = {
            name: (tuple(sites), sum(self._moved[site] for site in sites)) for name, sites in found.items()
        }
        own = {frame.plain for site in self._moved for frame in stacks.own(self._chains[site])}
        callers = sorted(
            told.keys() - self.keys.keys(), key=lambda name: (name not in own, -told[name][1], name)
        )
        return {name: told[name] for name in (*self.keys, *callers)}

    def sites_of(self, functions: Sequence[str]) -> tuple[int, ...]:
        """Give the sites on whose stacks one of some functions stands, by their names as `functions` has them.

        Raises
        ------
        UnknownPath
            A function is on none.
        """
        if missing := [name for name in functions if name not in self.functions]:
            known = ", ".join(map(brief, list(self.functions)[:_OFFERED])) or "none yet"
            raise UnknownPath(
                f"no function {brief(missing[0])} asked for bytes of this file: choose from {known}"
            )
        return tuple(sorted({site for name in functions for site in self.functions[name][0]}))

    def called(self, site: int) -> str:
        """Give what a site of the file is called by; "" where nobody knows."""
        return self._names.get(site, "")

    def covers(self, rows: pl.DataFrame) -> dict[str, Cover]:
        """Give the bytes that some reads or writes touched, by the key of the function that asked."""
        of_site = {site: self.keys.get(name, OTHERS) for site, name in self._names.items()}
        keys = pl.Series("key", [of_site.get(site, NONE) for site in rows["site"].unique()], pl.String())
        known = pl.DataFrame({"site": rows["site"].unique(), "key": keys})
        marked = rows.select("start", "end", "site").join(known, on="site", nulls_equal=True)
        found = {}
        for (key,), own in marked.group_by("key"):
            merged = ranges.merge(own.select("start", "end"))
            found[str(key)] = Cover.of(merged["start"].to_numpy(), merged["end"].to_numpy())
        return found

    def told(self, sites: Iterable[int | None]) -> str:
        """Say which code asked: the chain of the first site, the innermost frame first, and further functions; "" where nobody knows."""
        known = [site for site in sites if site is not None and site in self._chains]
        if not known:
            return ""
        names = dict.fromkeys(self._names[site] for site in known)
        further = [brief(name) for name in names if name != self._names[known[0]]]
        more = [f"{len(further) - _TOLD} more"] if len(further) > _TOLD else []
        said = [_chain(self._chains[known[0]]), *([", ".join(further[:_TOLD] + more)] if further else [])]
        return "; and by ".join(said)


def numbers(covers: Mapping[str, Cover], order: list[str], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the place in an order of keys of who touched each bin; that of `SEVERAL`, which is the last, for more than one."""
    found = np.zeros(len(edges) - 1, np.int64)
    last = order.index(SEVERAL) + 1
    for key, cover in covers.items():
        touched = np.diff(cover.below(edges)) > 0
        found = np.where(touched, np.where(found > 0, last, order.index(key) + 1), found)
    return found


def _chain(chain: stacks.Chain) -> str:
    frames = [brief(frame.label) for frame in stacks.asking(chain)]
    return " ← ".join(frames[:_FRAMES]) + (" ← …" if len(frames) > _FRAMES else "")
