"""Signature: what is compared of two runs, channel by channel, and what a difference means.

Channels: how the run ended, standard output, standard error, files written, and the sequence of its accesses to the file. A channel that
is not the same in two runs on the unaltered file is unstable, and is left out. Where threads race, accesses may still be the same but for
their order; then the order alone is left out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmrw.experiments.observation import Observation

CHANNELS = ("ending", "stdout", "stderr", "written", "accesses")
"""What may differ; `order` is named beside them where only the order of accesses is unstable."""
_MESSAGE = 120

Request = tuple[int, int, int]
"""(start, end, requested) of a read."""


class Difference(NamedTuple):
    """The first access that is not the unaltered run's.

    Attributes
    ----------
    access : int
        Its number, from 0.
    moved : int or None
        How far it begins from where it did; None where one of both runs has no such access.
    grown : int or None
        How many bytes more it asks for.
    more : int
        How many accesses more there are altogether.
    """

    access: int
    moved: int | None
    grown: int | None
    more: int


class Raw(NamedTuple):
    """What is kept of a run; small, and all that JSON needs to keep it.

    Attributes
    ----------
    ending : str
    stdout, stderr, written : str
        Digests.
    course, bag : str
        Digests of the accesses, in order and in whatever order.
    stops, within : bool
        Whether the accesses are the first of the unaltered run's, or some of them, and no others.
    difference : Difference or None
        None where they are the same.
    timeout : str
    signal : int or None
    message : str
        The first line of standard error, or the last of standard output.
    cpu : float
        Seconds.
    """

    ending: str
    stdout: str
    stderr: str
    written: str
    course: str
    bag: str
    stops: bool
    within: bool
    difference: Difference | None
    timeout: str
    signal: int | None
    message: str
    cpu: float


@dataclass(frozen=True)
class Effect:
    """What altered bytes changed.

    Attributes
    ----------
    kind : {"", "content", "checked", "course", "crash", "hang"}
        Empty: nothing. `course`: other accesses.
    channels : tuple of str
        Those that differ.
    raw : Raw
    course : str
        Tells one course of accesses from another.
    difference : Difference or None
        The first access that differs; None also where their order means nothing.
    """

    kind: str
    channels: tuple[str, ...]
    raw: Raw
    course: str = ""
    difference: Difference | None = None

    def __bool__(self) -> bool:
        """Tell whether anything changed."""
        return bool(self.kind)


class Reference:
    """The unaltered run, with which others are compared.

    Parameters
    ----------
    observations : sequence of Observation
        Several runs on the unaltered file.
    path : bytes
        The file, relative to the directory.
    """

    def __init__(self, observations: Sequence[Observation], path: bytes) -> None:
        self.path = path
        self.requests: list[Request] = observations[0].accesses.requests(path)
        self._counts = Counter(self.requests)
        self.ordered = True
        self.unstable: list[str] = []
        self.raw_first = self.raw(observations[0])
        for observation in observations[1:]:
            self.add(self.raw(observation))

    def add(self, raw: Raw) -> bool:
        """Compare another run on the unaltered file; tell whether a channel, or the order of accesses, turned out to be unstable."""
        first = self.raw_first
        found = [name for name in self._differing(raw) if name not in self.unstable]
        if "accesses" in found and self.ordered and raw.bag == first.bag:
            self.ordered = False
            found[found.index("accesses")] = "order"
        self.unstable += found
        return bool(found)

    def reordered(self, raw: Raw) -> bool:
        """Tell whether a run made the accesses of the unaltered one, in another order."""
        first = self.raw_first
        return (
            "accesses" in self.stable and self.ordered and raw.bag == first.bag and raw.course != first.course
        )

    def drop_order(self) -> None:
        """Compare accesses without their order from now on."""
        self.ordered = False
        self.unstable.append("order")

    @property
    def stable(self) -> list[str]:
        """The channels that are compared."""
        return [name for name in CHANNELS if name not in self.unstable]

    def raw(self, observation: Observation) -> Raw:
        """Keep of a run what is compared."""
        requests = observation.accesses.requests(self.path)
        same = next(
            (at for at, pair in enumerate(zip(requests, self.requests, strict=False)) if pair[0] != pair[1]),
            -1,
        )
        if same < 0:
            same = min(len(requests), len(self.requests))
        return Raw(
            ending=observation.ending,
            stdout=observation.stdout.digest.hex(),
            stderr=observation.stderr.digest.hex(),
            written=_digest(observation.written),
            course=_digest(requests),
            bag=_digest(sorted(requests)),
            stops=same == len(requests),
            within=Counter(requests) <= self._counts,
            difference=self._difference(requests, same),
            timeout=observation.timeout,
            signal=observation.signal,
            message=_message(observation),
            cpu=observation.cpu,
        )

    def _difference(self, requests: list[Request], at: int) -> Difference | None:
        if at == len(requests) == len(self.requests):
            return None
        more = len(requests) - len(self.requests)
        if at >= len(requests) or at >= len(self.requests):
            return Difference(at, None, None, more)
        (start, _, asked), (start0, _, asked0) = requests[at], self.requests[at]
        return Difference(at, start - start0, asked - asked0, more)

    def _differing(self, raw: Raw) -> list[str]:
        first = self.raw_first
        pairs = {
            "ending": (raw.ending, first.ending), "stdout": (raw.stdout, first.stdout), "stderr": (raw.stderr, first.stderr),
            "written": (raw.written, first.written), "accesses": (self._course(raw), self._course(first)),
        }  # fmt: skip
        return [name for name, (one, other) in pairs.items() if one != other]

    def effect(self, raw: Raw) -> Effect:
        """Tell what a run changed, in stable channels."""
        channels = tuple(name for name in self._differing(raw) if name not in self.unstable)
        return Effect(
            self._kind(raw, channels),
            channels,
            raw,
            self._course(raw),
            raw.difference if self.ordered else None,
        )

    def _course(self, raw: Raw) -> str:
        return raw.course if self.ordered else raw.bag

    def _kind(self, raw: Raw, channels: tuple[str, ...]) -> str:
        if not channels:
            return ""
        if raw.timeout:
            return "hang"
        if raw.signal is not None and "ending" in channels:
            return "crash"
        refused = "ending" in channels or "stderr" in channels
        if "accesses" in channels and not (refused and (raw.stops if self.ordered else raw.within)):
            return "course"
        return "checked" if refused else "content"


def _digest(value: Iterable[object]) -> str:
    return hashlib.blake2b(repr(list(value)).encode(), digest_size=12).hexdigest()


def _message(observation: Observation) -> str:
    lines = observation.stderr.text.splitlines() or observation.stdout.text.splitlines()[-1:]
    said = next((line.strip() for line in lines if line.strip()), "")
    return said[:_MESSAGE]
