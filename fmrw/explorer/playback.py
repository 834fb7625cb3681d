"""Playback: the accesses up to a moment are shown, and the moment moves along the view's time axis.

By order every access takes the same time, and speed 1 shows all of them in ten seconds. By the clock idle time is left out, and speed 1 is real time for a
recording of 5 s to 1 min; a shorter one is slowed down to 10 s, a longer one sped up to a minute. `Playback.told` says by how much. How long
a picture takes changes how many are shown, never where a moment stands.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import traitlets

from fmrw.errors import BadInput
from fmrw.explorer.poller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from fmrw.explorer.timeaxis import TimeAxis


SPEEDS = (0.25, 0.5, 1, 2, 4, 8, 16)
_SHORT_S, _LONG_S = 5, 60  # between these, speed 1 is real time
_SLOWED_S = 10
_PERIOD_S = 0.1


class Span(Protocol):
    """The time a recording took; `RecordedFile` knows it."""

    def time_axis(self, name: str) -> TimeAxis:
        """Give the way from the first to the last access."""

    @property
    def first(self) -> datetime | None:
        """The first access; None while there is none."""


class Played(Protocol):
    """What a playback moves; `View` is one.

    Attributes
    ----------
    time_window : tuple of datetime or None, or None
        Since and until, half-open; the playback sets it.
    time_axis : str
        One of `timeaxis.AXES`.
    """

    time_window: Any
    time_axis: str

    @property
    def recorded(self) -> Span:
        """The recording that is played."""

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something, showing what goes wrong."""


class Playback(traitlets.HasTraits):
    """The moment up to which a view shows accesses, and what moves it.

    Parameters
    ----------
    view : Played
        Its `time_window` is moved.
    clock : function
        Gives seconds that go on steadily.

    Attributes
    ----------
    playing : bool
        Set it, or call `play` and `pause`.
    speed : float
        One of `SPEEDS`.
    """

    playing = traitlets.Bool(default_value=False)
    speed = traitlets.Float(1)

    def __init__(self, view: Played, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._view, self._clock = view, clock
        self._then = 0.0
        self._at = 0.0
        self._set: datetime | None = None
        self._poller: Poller | None = None

    @traitlets.validate("speed")
    def _check_speed(self, proposal: Any) -> float:  # noqa: ANN401 - traitlets' Bunch
        if proposal["value"] not in SPEEDS:
            raise BadInput(
                f"speed {proposal['value']:g}: take one of {', '.join(f'{each:g}' for each in SPEEDS)}"
            )
        return float(proposal["value"])

    @property
    def axis(self) -> TimeAxis:
        """The way from the first to the last access, as the view has it."""
        return self._view.recorded.time_axis(self._view.time_axis)

    @property
    def lasts(self) -> float:
        """How many seconds the whole recording takes at speed 1."""
        seconds = self.axis.seconds
        if seconds is None or seconds < _SHORT_S:
            return _SLOWED_S
        return min(seconds, _LONG_S)

    def told(self) -> str:
        """Say how speed 1 relates to how it was."""
        seconds = self.axis.seconds
        if seconds is None:
            return f"1× takes {_SLOWED_S} s, each access as long as any other"  # noqa: RUF001 - times
        if not seconds:
            return "all at one moment"
        pace = seconds / self.lasts
        if pace == 1:
            return "1× is real time"  # noqa: RUF001 - times
        factor, how = (1 / pace, "slower") if pace < 1 else (pace, "faster")
        return f"1× is {factor:,.{0 if factor >= 10 else 1}f} times {how} than it was"  # noqa: PLR2004, RUF001 - two digits, times

    def shares(self) -> tuple[float, float]:
        """Give the view's time window as shares of the axis."""
        since, until = self._view.time_window or (None, None)
        if self._view.recorded.first is None:
            return 0.0, 1.0
        low = 0.0 if since is None else self.axis.share(since)
        high = 1.0 if until is None else self._at if until == self._set else self.axis.share(until)
        return low, high

    def cut(self, low: float, high: float) -> None:
        """Show a share of the recording: all from `low` on and before `high`, both of 0 to 1."""
        since = self.axis.moment(low) if low > 0 else None
        self._view.time_window = (since, self._until(high))

    def _until(self, share: float) -> datetime | None:
        """Give the moment at a share, and remember it: of several accesses at one moment, the moment does not tell how many were due."""
        self._at, self._set = share, self.axis.moment(share) if share < 1 else None
        return self._set

    def play(self) -> None:
        """Go on from the moment that is shown; from the beginning where all is shown."""
        self.playing = True

    def rewind(self) -> None:
        """Go to the beginning of what is shown."""
        since = (self._view.time_window or (None, None))[0]
        if self._view.recorded.first is not None:
            low = 0.0 if since is None else self.axis.share(since)
            self._view.time_window = (since, self._until(low))

    def pause(self) -> None:
        """Stay at the moment that is shown."""
        self.playing = False

    @traitlets.observe("playing")
    def _turned(self, _change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if self._poller is not None:
            self._poller.stop()
            self._poller = None
        if self.playing and self._view.recorded.first is not None:
            low, high = self.shares()
            self._at = high if high < 1 else low
            self._set = (self._view.time_window or (None, None))[1]
            self._then = self._clock()
            self._poller = Poller(self, _PERIOD_S, rest=1)

    def follow(self) -> bool:
        """Move to the moment that is due; False when it plays no longer."""
        now = self._clock()
        passed, self._then = now - self._then, now
        if not self.playing or self._view.recorded.first is None:
            return False
        since, until = self._view.time_window or (None, None)
        begin = self._at if until == self._set else self.shares()[1]  # somebody may have moved it meanwhile
        at = begin + passed * self.speed / self.lasts
        ended = at > 1 or self.axis.seconds == 0
        moment = None if ended else self._until(at)
        self._view.attempt(lambda: setattr(self._view, "time_window", (since, moment)))
        if ended:
            self.playing = False
        return self.playing
