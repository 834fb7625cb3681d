"""Playback: the accesses up to a moment are shown, and the moment moves by the clock of the recording.

Programs that read for milliseconds cannot be watched in real time, and nobody watches for hours. So at speed 1 a recording of 5 s to
1 min runs as it ran, a shorter one slowed down to 10 s, a longer one sped up to a minute; `Playback.told` says by how much. How long
a picture takes changes how many are shown, never where a moment stands.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import traitlets

from fmrw.errors import BadInput
from fmrw.explorer.poller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


SPEEDS = (0.25, 0.5, 1, 2, 4, 8, 16)
_SHORT_S, _LONG_S = 5, 60  # between these, speed 1 is real time
_SLOWED_S = 10
_PERIOD_S = 0.1


class Span(Protocol):
    """The time a recording took; `RecordedFile` knows it.

    Attributes
    ----------
    first, last : datetime or None
        The first and the last access; None while there is none.
    """

    first: datetime | None
    last: datetime | None


class Played(Protocol):
    """What a playback moves; `View` is one.

    Attributes
    ----------
    time_window : tuple of datetime or None, or None
        Since and until, half-open; the playback sets it.
    """

    time_window: Any

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
        self._at: datetime | None = None
        self._poller: Poller | None = None

    @traitlets.validate("speed")
    def _check_speed(self, proposal: Any) -> float:  # noqa: ANN401 - traitlets' Bunch
        if proposal["value"] not in SPEEDS:
            raise BadInput(
                f"speed {proposal['value']:g}: take one of {', '.join(f'{each:g}' for each in SPEEDS)}"
            )
        return float(proposal["value"])

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """The first and the last access; None while there is none."""
        recorded = self._view.recorded
        return None if recorded.first is None or recorded.last is None else (recorded.first, recorded.last)

    @property
    def seconds(self) -> float:
        """How long the recording lasted."""
        return (self.span[1] - self.span[0]).total_seconds() if self.span else 0.0

    @property
    def pace(self) -> float:
        """RecordedFile seconds that pass in one second at speed 1."""
        lasted = self.seconds
        if _SHORT_S <= lasted <= _LONG_S:
            return 1.0
        return lasted / (_SLOWED_S if lasted < _SHORT_S else _LONG_S)

    def told(self) -> str:
        """Say how speed 1 relates to how it was."""
        if not self.seconds:
            return "all at one moment"
        if self.pace == 1:
            return "1× is real time"  # noqa: RUF001 - times
        factor, how = (1 / self.pace, "slower") if self.pace < 1 else (self.pace, "faster")
        return f"1× is {factor:,.{0 if factor >= 10 else 1}f} times {how} than it was"  # noqa: PLR2004, RUF001 - two digits, times

    def moment(self, share: float) -> datetime | None:
        """Give the moment at a share of the recording; None before the first access is there."""
        return self.span[0] + timedelta(seconds=self.seconds * share) if self.span else None

    def shares(self) -> tuple[float, float]:
        """Give the view's time window as shares of the recording."""
        since, until = self._view.time_window or (None, None)
        if self.span is None or not self.seconds:
            return 0.0, 1.0
        begin = self.span[0]
        low, high = (
            default if each is None else min(max((each - begin).total_seconds() / self.seconds, 0.0), 1.0)
            for each, default in ((since, 0.0), (until, 1.0))
        )
        return low, high

    def cut(self, low: float, high: float) -> None:
        """Show a share of the recording's time: all from `low` on and before `high`, both of 0 to 1."""
        since = self.moment(low) if low > 0 else None
        until = self.moment(high) if high < 1 else None
        self._view.time_window = (since, until)

    def play(self) -> None:
        """Go on from the moment that is shown; from the beginning where all is shown."""
        self.playing = True

    def rewind(self) -> None:
        """Go to the beginning of what is shown."""
        if self.span is not None:
            since = (self._view.time_window or (None, None))[0]
            self._view.time_window = (since, since or self.span[0])

    def pause(self) -> None:
        """Stay at the moment that is shown."""
        self.playing = False

    @traitlets.observe("playing")
    def _turned(self, _change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if self._poller is not None:
            self._poller.stop()
            self._poller = None
        if self.playing and self.span is not None:
            since, until = self._view.time_window or (None, None)
            self._at = until or since or self.span[0]
            self._then = self._clock()
            self._poller = Poller(self, _PERIOD_S, rest=1)

    def follow(self) -> bool:
        """Move to the moment that is due; False when it plays no longer."""
        now = self._clock()
        passed, self._then = now - self._then, now
        if not self.playing or self._at is None or self.span is None:
            return False
        since, until = self._view.time_window or (None, None)
        begin = until or self._at  # somebody may have moved it meanwhile
        self._at = begin + timedelta(seconds=passed * self.pace * self.speed)
        ended = self._at > self.span[1] or not self.seconds
        self._view.attempt(lambda: setattr(self._view, "time_window", (since, None if ended else self._at)))
        if ended:
            self.playing = False
        return self.playing
