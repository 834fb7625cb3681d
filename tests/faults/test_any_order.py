"""Worker, owner, renderer and watched programs killed and stopped in any order and composition: nothing acknowledged is lost.

A round's plot is made up from a number alone; what each moment meets differs from run to run. A number that failed goes into `SEEDS`.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest
from processes import Cast, Owner, Program, eventually, fmrw, gone, mounted
from test_kills import check_file, recorded_writes, renderer_of

from fmrw.capture.mounts import unmount as unmounting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.mount

SEEDS = (1, 2, 3, 4, 5, 6)
SOAK_ROUNDS = 400
MOMENT_S = 0.1
READER = """
    import sys, time
    while True:
        try:
            with open(sys.argv[1], "rb") as report:
                print(len(report.read()), flush=True)
        except OSError:
            time.sleep(0.01)
"""


class Act(NamedTuple):
    """What is done to whom, and how long after the act before."""

    after_s: float
    who: str
    what: str


class Outcome(NamedTuple):
    """What a round, or several, came to."""

    rounds: int = 0
    kills: int = 0
    stops: int = 0
    acknowledged: int = 0
    lost: int = 0

    def plus(self, other: Outcome) -> Outcome:
        return Outcome(*map(sum, zip(self, other, strict=True)))


def plot(seed: int) -> tuple[list[str], list[Act]]:
    """Make up how many programs write, who is killed or stopped, in which order and when; nobody stays stopped."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    writers = [f"program {number}" for number in range(chance.choice((2, 3)))]
    everybody = ["worker", "owner", "renderer", *writers]
    victims = chance.sample(everybody, chance.randint(1, len(everybody)))
    first = [(who, chance.choice(("kill", "kill", "stop"))) for who in victims]
    stopped = [who for who, what in first if what == "stop"]
    chance.shuffle(stopped)
    then = [
        (who, chance.choice(("continue", "kill", "abort") if who == "worker" else ("continue", "kill")))
        for who in stopped
    ]
    return writers, [Act(chance.uniform(0, MOMENT_S), who, what) for who, what in first + then]


class Round:
    """Somebody who mounts a folder, programs that write there, one that reads a report, and what becomes of them."""

    def __init__(self, base: Path, writers: list[str], stack: ExitStack) -> None:
        self.folder, self.session = base / "watched", base / "session"
        self.folder.mkdir(parents=True)
        stack.callback(unmounting.detach, self.folder)
        cast = Cast(stack)
        self.owner: Owner = cast.owner(self.folder, output=self.session)
        worker = psutil.Process(self.owner.worker)
        self.writers: dict[str, Program] = {name: cast.writer(self.folder / name) for name in writers}
        self.reader: Program = cast.program(READER, self.folder / f"{writers[0]}.csv")
        stack.callback(_do, worker.kill)  # or whoever waits for a stopped one could not be ended
        assert all(program.line() for program in (*self.writers.values(), self.reader))
        self.people = {
            "worker": worker,
            "owner": psutil.Process(self.owner.pid),
            "renderer": psutil.Process(renderer_of(worker.pid)),
            **{name: psutil.Process(program.pid) for name, program in self.writers.items()},
        }
        self.dead: set[str] = set()

    def perform(self, act: Act) -> None:
        threading.Event().wait(act.after_s)
        somebody = self.people[act.who]
        match act.what:
            case "stop":
                _do(somebody.suspend)
            case "continue":
                _do(somebody.resume)
            case "abort" if mounted(self.folder):
                fmrw("unmount", "--abort", self.folder)
            case _:
                _do(somebody.kill)
        self.dead |= {act.who} if act.what in {"kill", "abort"} else set()

    def end(self) -> dict[str, int]:
        """See that who is left goes on, end them; give how many writes were acknowledged to each program."""
        served, owned = "worker" not in self.dead, "owner" not in self.dead
        if not served or not owned:
            eventually(lambda: not mounted(self.folder), "plain again", within_s=60)
        acknowledged = {name: self._ended(name, program, served) for name, program in self.writers.items()}
        self.reader.end()
        if owned:
            seen = self.owner.leave()
            assert seen >= sum(acknowledged.values()), "the owner has not seen what was acknowledged"
        assert not mounted(self.folder)
        eventually(lambda: all(gone(each.pid) for each in self.people.values()), "all have ended")
        return acknowledged

    def _ended(self, name: str, program: Program, served: bool) -> int:  # noqa: FBT001 - for one caller
        """Let a program end by its mount's end, or go on and be killed; give how many writes were acknowledged."""
        last = "1"
        if name not in self.dead and served:
            program.lines_so_far()
            last = program.line()
            assert last, "a program that nobody killed has ended, and its worker lives"
            _do(self.people[name].kill)
        _status, said, error = program.finish()
        assert name in self.dead or served or error.startswith("error"), error
        return int((said.split() or [last])[-1])


def _do(action: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        action()


def play(base: Path, seed: int) -> Outcome:
    """Play one round; what was acknowledged is in the files, or this fails, and how much of it is not in the session."""
    writers, acts = plot(seed)
    with ExitStack() as stack:
        scene = Round(base, writers, stack)
        for act in acts:
            scene.perform(act)
        acknowledged = scene.end()
    for name, count in acknowledged.items():
        check_file(scene.folder / name, count)
    recorded = recorded_writes(scene.session)
    lost = sum(max(0, count - recorded.get(name, 0)) for name, count in acknowledged.items())
    stops = sum(act.what == "stop" for act in acts)
    return Outcome(1, len(scene.dead), stops, sum(acknowledged.values()), lost)


def tell(record: Callable[[str, object], None], outcome: Outcome) -> None:
    for name, value in outcome._asdict().items():
        record(name, value)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_round_loses_nothing(
    tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("plot", [f"{who} {what}" for _after, who, what in plot(seed)[1]])
    outcome = play(tmp_path, seed)
    tell(record_property, outcome)
    assert outcome.lost == 0


@pytest.mark.soak
def test_no_round_of_many_loses_anything(
    tmp_path: Path, dice: Callable[[float, float], float], record_property: Callable[[str, object], None]
) -> None:
    total, seed = Outcome(), 0
    try:
        for number in range(SOAK_ROUNDS):
            seed = int(dice(0, 1 << 30))
            outcome = play(tmp_path / str(number), seed)
            total = total.plus(outcome)
            assert outcome.lost == 0, f"the seed of this round: {seed}"
            shutil.rmtree(tmp_path / str(number))
    finally:
        tell(record_property, total)
        record_property("last round's seed", seed)
