"""Filter: which events of a file count, by operation, process, thread, handle, call site and time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

import polars as pl

from fmrw.analysis.ranges import TRANSFERS
from fmrw.errors import BadInput
from fmrw.trace.schema import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_FEW = 8  # processes up to which comparing one by one is faster than a join


class Who(TypedDict, total=False):
    """What `Index.bins` takes to say which events count."""

    op: str | None
    processes: Sequence[tuple[int, str]] | None
    tids: Sequence[int] | None
    handles: Sequence[int] | None
    sites: Sequence[int] | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class Filter:
    """Which events count; None does not ask, an empty tuple lets nobody pass."""

    op: str | None = None
    processes: tuple[tuple[int, str], ...] | None = None
    tids: tuple[int, ...] | None = None
    handles: tuple[int, ...] | None = None
    sites: tuple[int, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def of(
        cls,
        *,
        op: str | None = None,
        processes: Sequence[tuple[int, str]] | None = None,
        tids: Sequence[int] | None = None,
        handles: Sequence[int] | None = None,
        sites: Sequence[int] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Filter:
        """Make one from any sequences, checked."""
        if op not in {None, *TRANSFERS}:
            raise BadInput(f"op {op!r} touches no bytes; ask for 'read', 'write' or None")
        pairs = None if processes is None else tuple((int(pid), str(name)) for pid, name in processes)
        threads = None if tids is None else tuple(map(int, tids))
        numbers = None if handles is None else tuple(map(int, handles))
        places = None if sites is None else tuple(map(int, sites))
        return cls(op, pairs, threads, numbers, places, since, until)

    def mask(self, events: pl.DataFrame) -> NDArray[np.bool_] | None:
        """Say for each event whether it counts; None if all do."""
        conditions = [
            *([pl.col("op") == self.op] if self.op is not None else []),
            *([pl.col("tid").is_in(self.tids)] if self.tids is not None else []),
            *([pl.col("handle").is_in(self.handles)] if self.handles is not None else []),
            *([_asked(self.sites, events)] if self.sites is not None else []),
            *([pl.col("time") >= _moment(self.since)] if self.since is not None else []),
            *([pl.col("time") < _moment(self.until)] if self.until is not None else []),
            *([_among(self.processes, events)] if self.processes is not None else []),
        ]
        if not conditions:
            return None
        kept = events.select(pl.all_horizontal(conditions).fill_null(value=False).alias("kept"))
        return kept["kept"].to_numpy()


def _moment(when: datetime) -> pl.Expr:
    aware = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return pl.lit(aware, EVENTS["time"])


def _asked(sites: Sequence[int], events: pl.DataFrame) -> pl.Expr:
    """Choose the events of call sites; events without the column have none."""
    return pl.col("site").is_in(sites) if "site" in events.columns else pl.lit(value=False)


def _is(pid: int, name: str) -> pl.Expr:
    return (pl.col("pid") == pid) & (pl.col("process") == name)


def _among(processes: Sequence[tuple[int, str]], events: pl.DataFrame) -> pl.Expr:
    if len(processes) <= _FEW:
        each = {f"{n}": _is(*pair) for n, pair in enumerate(processes)} or {"none": pl.col("pid").is_in([])}
        apart = events.select(**each)  # at once; as parts of one expression they come one after the other
        return pl.lit(apart.select(pl.any_horizontal(pl.all())).to_series())
    schema = {name: EVENTS[name] for name in ("pid", "process")}
    wanted = pl.DataFrame(processes, schema=schema, orient="row").unique().with_columns(kept=True)
    found = (
        events.lazy()
        .select(list(schema))
        .join(wanted.lazy(), on=list(schema), how="left", maintain_order="left")
    )
    return pl.lit(found.collect()["kept"])
