"""Time axis: how far a recording is at an access or a moment, as a share of 0 to 1; for the plane of time, and for playback.

    order    each access takes the same room; where programs read for a millisecond each and wait minutes between, nothing else is legible
    clock    as the wall clock went, but idle time cut: no pause between two accesses takes more than a twentieth of the axis

Limits. Several accesses at one microsecond are one moment: playback shows them together.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fmrw.explorer.sampling import PLACE

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

AXES = ("order", "clock")
"""What `State.time_axis` may be."""

_LARGEST_PAUSE = 1 / 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeAxis(Protocol):
    """The way of a recording from its first to its last access."""

    def shares(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Say where the accesses of a sample stand: 0 for the first, 1 for the last."""

    def share(self, moment: datetime) -> float:
        """Say how far the recording is just before a moment."""

    def moment(self, share: float) -> datetime | None:
        """Give the moment up to which a share of the recording is shown, half-open; None for all of it."""

    @property
    def length(self) -> str:
        """How long the axis is, in words."""

    @property
    def seconds(self) -> float | None:
        """How long the axis is, in seconds; None where it has no time."""


class Order:
    """Every access takes the same room.

    Parameters
    ----------
    rows
        All reads and writes, in their order.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = rows

    @cached_property
    def _times(self) -> NDArray[np.int64]:
        """When the accesses were, in order; a picture does without."""
        return np.sort(self._rows["time"].to_physical().to_numpy(), kind="stable")

    def shares(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Give the number of each access, divided by that of the last."""
        return rows[PLACE].to_numpy() / max(self._rows.height - 1, 1)

    def share(self, moment: datetime) -> float:
        """Count the accesses before a moment."""
        return float(np.searchsorted(self._times, _microseconds(moment))) / max(len(self._times), 1)

    def moment(self, share: float) -> datetime | None:
        """Give the time of the first access that is not shown any more."""
        number = round(share * len(self._times))
        return _datetime(int(self._times[number])) if number < len(self._times) else None

    seconds = None

    @property
    def length(self) -> str:
        """How many accesses there are."""
        return f"{self._rows.height:,} accesses"


class Clock:
    """The wall clock without idle time.

    Parameters
    ----------
    rows
        All reads and writes.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._times = np.unique(rows["time"].to_physical().to_numpy())
        pauses = np.diff(self._times)
        self._limit = limit(pauses)
        self._passed = (
            np.r_[0.0, np.cumsum(np.minimum(pauses, self._limit))] if len(self._times) else np.zeros(1)
        )
        self.cut = bool((pauses > self._limit).any())

    def shares(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Give the time that has passed at each access, divided by all of it."""
        found = self._passed[np.searchsorted(self._times, rows["time"].to_physical().to_numpy())]
        return np.asarray(found / max(self._passed[-1], 1), np.float64)

    def share(self, moment: datetime) -> float:
        """Give the time that has passed at a moment; within a pause it stands still once that is cut."""
        asked = _microseconds(moment)
        last = int(np.searchsorted(self._times, asked, "right")) - 1
        if last < 0:
            return 0.0
        inside = min(asked - int(self._times[last]), self._limit)
        return float(min((self._passed[last] + inside) / max(self._passed[-1], 1), 1.0))

    def moment(self, share: float) -> datetime | None:
        """Give the moment at which so much of the time has passed."""
        if share >= 1 or not len(self._times):
            return None
        wanted = share * self._passed[-1]
        last = max(int(np.searchsorted(self._passed, wanted, "right")) - 1, 0)
        return _datetime(int(self._times[last]) + round(wanted - self._passed[last]))

    @property
    def seconds(self) -> float:
        """How long the axis is, idle time left out."""
        return float(self._passed[-1]) / 1e6

    @property
    def length(self) -> str:
        """How long that took."""
        seconds = self.seconds
        said = f"+ {seconds * 1e3:,.1f} ms" if seconds < 1 else f"+ {seconds:,.1f} s"
        return f"{said}, idle cut" if self.cut else said


def limit(pauses: NDArray[np.int64]) -> float:
    """Give the length to which pauses are cut: the largest that is at most a twentieth of all that is left.

    With fewer than eighty pauses it is four times their mean share instead, so that pauses of about one length all stay.
    """
    if not len(pauses):
        return 0.0
    share = max(_LARGEST_PAUSE, min(4 / len(pauses), 1.0))
    ordered = np.sort(pauses).astype(np.float64)
    below = np.r_[0.0, np.cumsum(ordered)]
    for kept in range(len(ordered), 0, -1):  # the longest `len - kept` pauses are cut to one length
        cut = len(ordered) - kept
        longest = share * below[kept] / (1 - share * cut) if share * cut < 1 else np.inf
        if ordered[kept - 1] <= longest:
            return float(min(longest, ordered[-1]))
    return float(ordered[0])


def made(name: str, rows: pl.DataFrame) -> TimeAxis:
    """Make the axis of a name, one of `AXES`, of all reads and writes in their order."""
    return Order(rows) if name == "order" else Clock(rows)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _datetime(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
