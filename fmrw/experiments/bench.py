"""Bench: runs a command on one file with bytes altered, keeps what was seen, and knows when to stop.

What has been run is not run again: everything that was seen is kept by what was altered, in memory and, where there is a folder, in
`runs.jsonl`, a line per run. So a search that is started anew with the same questions goes on where it was stopped, and a channel that turns
out to be unstable costs no run twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fmrw.errors import BadInput
from fmrw.experiments.jobs import Job, Limits
from fmrw.experiments.shims import without_shim
from fmrw.experiments.signature import Difference, Effect, Raw, Reference
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from fmrw.experiments.observation import Observation
    from fmrw.experiments.runs import Runs
    from fmrw.experiments.shared import Patch

_BASELINES = 5
_AGAIN = 200  # runs between two on the unaltered file
_LEAST_CPU_S, _LEAST_S = 0.05, 2.0
_TIMES_CPU, _TIMES_S = 20, 50
_PATIENCE = 10

Alteration = tuple["Patch", ...]


class OutOfBudget(Exception):
    """No run is left; what is known stays."""


_REPEATS = 6
"""Runs that tell whether an order of accesses is an alteration's or a race's."""
_MOST_ORDERS = 3
"""Orders that are repeated; where so many are always the same, no threads race."""


class Unsteady(Exception):
    """A channel turned out to be unstable: what was concluded from it must be concluded anew."""


_SECONDS = {"s": 1, "m": 60, "h": 3600}
_BUDGET = re.compile(r"(\d+)\s*([smh]?)")


class Budget(NamedTuple):
    """What a search may cost.

    Attributes
    ----------
    runs : int or None
    seconds : float or None
    """

    runs: int | None = None
    seconds: float | None = None


def budget_of(given: Budget | int | str) -> Budget:
    """Give what a search may cost: a number of runs, or a time such as 30s, 5m or 1h.

    Raises
    ------
    BadInput
        It is none of these.
    """
    if isinstance(given, Budget):
        return given
    found = _BUDGET.fullmatch(str(given).strip())
    if found is None or not int(found[1]):
        raise BadInput(
            f"{visible(str(given))!r} is neither a number of runs nor a time; write 2000, 30s, 5m or 1h."
        )
    amount, unit = int(found[1]), found[2]
    return Budget(seconds=amount * _SECONDS[unit]) if unit else Budget(runs=amount)


class Bench:
    """Try alterations of one file.

    Parameters
    ----------
    runs : Runs
        Over the directory of the file.
    path : Path
        The file, real and absolute.
    command : sequence of str
        With the file's name in its place; a shim's program is run itself (`fmrw.experiments.shims`).
    budget : Budget
    progress : callable
        Called after each batch of runs with this object.
    any_status : bool
        Whether a command may fail on the unaltered file.
    unaltered : Limits
        Of each run on the unaltered file; runs on altered ones get the same memory and output, and less time.

    Raises
    ------
    BadInput
        The command fails on the unaltered file, or nothing it does is the same twice.
    """

    def __init__(
        self,
        runs: Runs,
        path: Path,
        command: Sequence[str],
        *,
        budget: Budget = Budget(),  # noqa: B008 - a constant
        progress: Callable[[Bench], None] = lambda _bench: None,
        any_status: bool = False,
        unaltered: Limits = Limits(),  # noqa: B008 - a constant
    ) -> None:
        self._runs = runs
        self.path = path
        self.command = without_shim(command)
        self.shim = command[0] if command[0] != self.command[0] else ""
        self.budget = budget
        self._progress = progress
        self._seen: dict[str, Raw] = {}
        self._journal: IO[str] | None = None
        self._begun = time.monotonic()
        self._stat = path.stat()
        self.count = 0
        self.replayed = 0
        self._orders = _MOST_ORDERS
        self._next_baseline = _AGAIN
        self.limits = self._unaltered = unaltered
        self.baseline = self._observe_baselines(any_status=any_status)
        self.reference = Reference(
            self.baseline, str(path.relative_to(runs.directory)).encode(errors="surrogateescape")
        )
        self._require_steady()
        self.limits = self._tight()

    # The unaltered file

    def _observe_baselines(self, *, any_status: bool) -> list[Observation]:
        found = [
            observation
            for _job, observation in self._runs.map(
                [Job(self.command, self.path, limits=self._unaltered)] * _BASELINES
            )
        ]
        self.count += len(found)
        first = found[0]
        if first.error:
            raise BadInput(
                f"the command was not started: {visible(first.error)}. Is it installed, and on PATH?"
            )
        if first.timeout:
            raise BadInput(
                f"the command does not end on the unaltered file within {self._unaltered.seconds:g} s; probe one that does."
            )
        if not first.ok and not any_status:
            said = first.stderr.text.strip().splitlines()
            why = f": {visible(said[-1])}" if said else ""
            raise BadInput(
                f"the command ends with {first.ending} on the unaltered file{why}. --any-status goes on."
            )
        return found

    def _require_steady(self) -> None:
        if not self.reference.stable:
            raise BadInput(
                "nothing that the command does is the same twice (status, output, files, accesses); fix its seed or its threads."
            )

    def _tight(self) -> Limits:
        cpu = statistics.median(each.cpu for each in self.baseline)
        wall = statistics.median(each.seconds for each in self.baseline)
        return replace(
            self._unaltered,
            seconds=max(_LEAST_S, _TIMES_S * wall),
            cpu=max(_LEAST_CPU_S, _TIMES_CPU * cpu),
        )

    def check_baseline(self) -> None:
        """Run the unaltered file again.

        Raises
        ------
        Unsteady
            It was not as before.
        BadInput
            The file has changed beneath.
        """
        status = self.path.stat()
        if (status.st_size, status.st_mtime_ns) != (self._stat.st_size, self._stat.st_mtime_ns):
            raise BadInput(
                f"{visible(str(self.path))} has changed meanwhile; what was seen is of no use. Probe it again."
            )
        observation = self._runs.run(self.command, file=self.path, limits=self._unaltered)
        self.count += 1
        if self.reference.add(self.reference.raw(observation)):
            self._require_steady()
            raise Unsteady

    # Altered files

    def effects(self, alterations: Sequence[Alteration], cut: int = -1) -> list[Effect]:
        """Try alterations; give what each changed, in their order.

        Raises
        ------
        OutOfBudget, Unsteady
        """
        keys = [_key(each, cut) for each in alterations]
        wanted = {key: each for key, each in zip(keys, alterations, strict=True) if key not in self._seen}
        self.replayed += len(alterations) - len(wanted)
        for batch in _batches(list(wanted.items()), _AGAIN):
            self._require_budget()
            self._try(batch, cut)
            if self.count >= self._next_baseline:
                self._next_baseline = self.count + _AGAIN
                self.check_baseline()
        return [self.reference.effect(self._seen[key]) for key in keys]

    def again(self, alterations: Sequence[Alteration], cut: int = -1) -> list[Effect]:
        """Try alterations once more, whether they were seen or not; what is seen now is not kept."""
        self._require_budget()
        jobs = [Job(self.command, self.path, each, cut, self.limits) for each in alterations]
        seen = []
        for job, observation in list(self._runs.map(jobs, ordered=True)):
            self.count += 1
            seen.append((job, self._confirmed(job, observation)))
        self._progress(self)
        self._repeat_orders(seen)
        return [self.reference.effect(raw) for _job, raw in seen]

    def _repeat_orders(self, seen: Iterable[tuple[Job, Raw]]) -> None:
        """Repeat runs with the accesses of the unaltered file in another order: if theirs changes too, threads race.

        A race may end the same way in all runs on the unaltered file.

        Raises
        ------
        Unsteady
            They race.
        """
        for job, raw in seen:
            if not self._orders or not self.reference.reordered(raw):
                continue
            self._orders -= 1
            repeated = [Job(job.command, job.file, job.patches, job.cut, self.limits)] * _REPEATS
            again = [self.reference.raw(observation) for _job, observation in list(self._runs.map(repeated))]
            self.count += len(again)
            if any(each.bag == raw.bag and each.course != raw.course for each in again):
                self.reference.drop_order()
                raise Unsteady

    def _run_one(self, job: Job) -> Observation:
        self.count += 1
        return next(observation for _job, observation in self._runs.map([job]))

    def _try(self, batch: list[tuple[str, Alteration]], cut: int) -> None:
        left = len(batch) if self.budget.runs is None else max(0, self.budget.runs - self.count)
        jobs = [Job(self.command, self.path, patches, cut, self.limits, key) for key, patches in batch[:left]]
        over: list[tuple[Job, Observation]] = []
        odd: list[tuple[Job, Raw]] = []
        for job, observation in self._runs.map(self._until_late(jobs)):
            self.count += 1
            if observation.timeout:
                over.append((job, observation))
            else:
                raw = self.reference.raw(observation)
                self._keep(job.tag, raw)
                if self.reference.reordered(raw):
                    odd.append((job, raw))
            self._progress(self)
        for job, observation in over:
            self._keep(job.tag, self._confirmed(job, observation))
        self._repeat_orders(odd)
        if len(jobs) < len(batch) or any(key not in self._seen for key, _ in batch):
            raise OutOfBudget

    def _until_late(self, jobs: list[Job]) -> Iterator[Job]:
        for job in jobs:
            if self._late:
                return
            yield job

    def _confirmed(self, job: Job, observation: Observation) -> Raw:
        """Run what took too long once more, with more patience: a busy machine is no hang."""
        if not observation.timeout:
            return self.reference.raw(observation)
        limits = replace(self.limits, seconds=_PATIENCE + 1, cpu=_PATIENCE * self.limits.cpu + 1)
        return self.reference.raw(self._run_one(Job(job.command, job.file, job.patches, job.cut, limits)))

    @property
    def _late(self) -> bool:
        return self.budget.seconds is not None and time.monotonic() - self._begun > self.budget.seconds

    def _require_budget(self) -> None:
        if self._late or (self.budget.runs is not None and self.count >= self.budget.runs):
            raise OutOfBudget

    # What was seen

    def _keep(self, key: str, raw: Raw) -> None:
        self._seen[key] = raw
        if self._journal is not None:
            self._journal.write(json.dumps([key, raw]) + "\n")

    def keep_in(self, journal: Path) -> None:
        """Take what was seen from a file, and add to it what will be."""
        if journal.exists():
            for line in journal.read_text(errors="replace").splitlines():
                try:
                    key, fields = json.loads(line)
                    raw = Raw(*fields)
                    difference = None if raw.difference is None else Difference(*raw.difference)
                    self._seen[key] = raw._replace(difference=difference)
                except (ValueError, TypeError, IndexError):  # the last line of a search that was killed
                    continue
        self._journal = journal.open("a", buffering=1)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()


def _key(alteration: Alteration, cut: int) -> str:
    return hashlib.blake2b(repr((tuple(map(tuple, alteration)), cut)).encode(), digest_size=12).hexdigest()


def _batches(items: list[tuple[str, Alteration]], size: int) -> Iterable[list[tuple[str, Alteration]]]:
    return (items[at : at + size] for at in range(0, len(items), size))
