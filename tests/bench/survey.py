"""Surveys against a plain loop of the same commands, in one run; memory of the driver; summaries of a million rows.

python tests/bench/survey.py                 # rate, with and without Dask, in alternating rounds
python tests/bench/survey.py --runs 10000    # the aim: 60 s on two idle cores
python tests/bench/survey.py --rows 1000000  # a made survey of so many rows: summary, report, memory of the driver that goes on with it
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import psutil

import fmrw
from fmrw.capture.system import namespaces
from fmrw.experiments.survey import corpus as listing
from fmrw.experiments.survey import driver, part, rows
from fmrw.experiments.survey.plan import Folder, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

MAKE = runpy.run_path(str(Path(__file__).parents[2] / "data" / "corpus.py"))["main"]
COMMAND = ["unzip", "-l", "{}"]


def plain(corpus: Path, jobs: int) -> float:
    """Run the commands with `subprocess`, as many at a time; give runs per second."""
    files = [path for path in sorted(corpus.rglob("*")) if path.is_file()]

    def run(path: Path) -> bytes:
        return subprocess.run(
            [*COMMAND[:2], str(path)], capture_output=True, stdin=subprocess.DEVNULL, check=False
        ).stdout

    begun = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        assert len(list(pool.map(run, files))) == len(files)
    return len(files) / (time.perf_counter() - begun)


def surveyed(corpus: Path, jobs: int, **options: object) -> float:
    """Survey, from the start of the first process to the end of the last; give runs per second."""
    out = Path(tempfile.mkdtemp(dir=corpus.parent)) / "out"
    begun = time.perf_counter()
    found = fmrw.survey(corpus, out, {"unzip": COMMAND}, jobs=jobs, **options)  # type: ignore[arg-type]
    took = time.perf_counter() - begun
    count = found.runs.select(pl.len()).collect().item()
    assert count == found.plan.runs
    shutil.rmtree(out.parent)
    return count / took


def spent() -> float:
    """Give the CPU time of this process and of all that have ended below it, once those are gone that a survey has left to end."""
    for child in psutil.Process().children():
        if child.name() in {"python", "python3", "fmrw-experiment"} and child.pid not in KEPT:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


KEPT: set[int] = set()
"""Processes of Dask."""


def rates(folder: Path, runs: int, rounds: int) -> None:
    """Compare rates, alternating."""
    from distributed import LocalCluster  # noqa: PLC0415 - takes its time

    corpus, jobs = folder / "corpus", len(os.sched_getaffinity(0))
    MAKE(corpus, runs)
    ways: dict[str, Callable[[], float]] = {
        "subprocess": lambda: plain(corpus, jobs),
        "fmrw survey": lambda: surveyed(corpus, jobs),
    }
    with LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None) as cluster:
        ways["fmrw survey, Dask"] = lambda: surveyed(corpus, jobs, scheduler=cluster.scheduler_address)
        KEPT.update(child.pid for child in psutil.Process().children())
        namespaces.adopt_orphans()  # so that their time is known
        measured: dict[str, list[float]] = {name: [] for name in ways}
        cpu: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                before = spent()
                measured[name].append(way())
                cpu[name].append(spent() - before)
    bare = measured["subprocess"]
    print(f"{runs:,} runs of unzip -l, {jobs} jobs, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    less = [one / other for one, other in zip(cpu["subprocess"], cpu["fmrw survey"], strict=True)]
    print(
        f"CPU time of the loop / of the survey: {statistics.median(less):.2f} ({min(less):.2f} to {max(less):.2f})"
    )
    for name, found in measured.items():
        ratio = statistics.median(each / other for each, other in zip(found, bare, strict=True))
        print(
            f"{name:20} {statistics.median(found):8.1f} runs/s   {ratio:.2f}x   {10_000 / statistics.median(found):6.1f} s for 10,000"
        )


class Instant(ThreadPoolExecutor):
    """Gives each part as done, without running it: what is left is the driver."""

    def submit(self, _run: object, _out: str, number: int) -> Future[part.Done]:  # type: ignore[override]
        done: Future[part.Done] = Future()
        done.set_result(part.Done(number, 4096, {"accepted": 4096}))
        return done


def large(folder: Path, count: int) -> None:
    """Make a survey of so many rows by ten parsers; time its summary, and watch the driver go over one as large."""
    parsers = {f"p{number}": COMMAND for number in range(10)}
    files = count // len(parsers)
    out = Folder(folder / "out")
    wanted = Plan(str(folder), parsers)
    listed = (listing.File(f"folder/{number:09}.zip", 10_000, 0) for number in range(files))

    class Listing:
        skipped: dict[str, int] = {}  # noqa: RUF012 - as a Listing's

        def __iter__(self) -> object:
            return listed

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plan = out.begin(wanted, Listing)  # type: ignore[arg-type]
    with Instant(1) as executor:
        driver._run(Folder(folder / "out"), replace(plan), driver.Where(1, executor, None), None)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"driver of {plan.runs:,} runs in {plan.parts:,} parts: {after / 1024:.0f} MiB resident at most ({before / 1024:.0f} before)"
    )
    if count > 2_000_000:
        return
    fill(out, plan)
    code = f"""
import resource, time
import fmrw
def timed(name, what):
    begun = time.perf_counter(); what()
    print(f"{{name:16}} {{time.perf_counter() - begun:6.2f}} s   {{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:6.0f}} MiB at most")
import polars
found = fmrw.Survey({str(out.path)!r})
timed("summary", lambda: found.summary)
timed("verdicts", lambda: found.verdicts())
timed("clusters", lambda: found.clusters())
timed("matrix, bytes", lambda: found.matrix)
timed("report", lambda: found.report())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def fill(out: Folder, plan: Plan) -> None:
    """Write all parts, with three ranges a run and a verdict that differs now and then."""
    for number in range(plan.parts):
        files = list(out.files_of(number))
        for place, parser in enumerate(plan.parsers):
            found, extents = [], []
            for file in files:
                bad = hash((file.file, place)) % 50 == 0
                row = rows.not_run("", 10_000) | {"file": file.file, "verdict": "refused" if bad else "accepted", "status": int(bad), "share": 0.3,
                       "read": 3000, "strip": "09" * 16, "shape": ".-#" + "." * (place % 5), "changed": False, "fidelity": "byte"}  # fmt: skip
                found.append(row)
                extents.append(
                    (
                        file.file,
                        10_000,
                        [(0, 1000, 1), (2000 + 100 * place, 3000 + 100 * place, 1), (9000, 10_000, 1)],
                    )
                )
            out.write(rows.extents_frame(extents), out.part("extents", number, parser))
            out.write(rows.runs_frame(found), out.part("runs", number, parser))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="survey-") as folder:
        if chosen.rows:
            large(Path(folder), chosen.rows)
        else:
            rates(Path(folder), chosen.runs, chosen.rounds)


if __name__ == "__main__":
    main()
