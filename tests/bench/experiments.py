"""What experiments cost: runs a second beside bare spawns of the same command, whole probes, the reducer, memory.

    python tests/bench/experiments.py [--rounds 5] [--only-rates] [--shrinkray PATH]

Rounds alternate between both ways, on as many slots as there are CPUs. On a busy machine the ratio of the CPU times says more than that of
the rates: all processes of both ways are counted, the commands' own too. Shrinkray (PyPI, Python 3.12 or newer) is a program of its own; without
its path the reducer is timed alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import rig

import fmrw
from fmrw.experiments.jobs import Job
from fmrw.experiments.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PATIENCE_S = 600
SLOTS = len(os.sched_getaffinity(0))


def bare(command: Sequence[str], count: int) -> float:
    """Spawn and wait, in as many processes as there are slots; give runs a second."""
    nothing = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, nothing, number) for number in range(3)]
    program = shutil.which(command[0]) or command[0]
    begun = time.perf_counter()
    loops = []
    for _ in range(SLOTS):
        loop = os.fork()
        if not loop:
            for _ in range(count // SLOTS):
                os.waitpid(os.posix_spawn(program, command, os.environ, file_actions=actions), 0)
            os._exit(0)
        loops.append(loop)
    for loop in loops:
        os.waitpid(loop, 0)
    os.close(nothing)
    return count // SLOTS * SLOTS / (time.perf_counter() - begun)


def ours(runs: Runs, command: Sequence[str], file: Path, count: int) -> float:
    begun = time.perf_counter()
    for _job, observation in runs.map(Job(command, file) for _ in range(count)):
        assert not observation.error
    return count / (time.perf_counter() - begun)


def spent(processes: Sequence[psutil.Process]) -> float:
    """Give the CPU time of processes and of their children that have ended."""
    return sum(sum(each.cpu_times()[:4]) for each in processes)


def archive(path: Path, entries: int, size: int) -> Path:
    chance = random.Random(1)  # noqa: S311 - the same every time
    with zipfile.ZipFile(path, "w") as made:
        for number in range(entries):
            made.writestr(
                zipfile.ZipInfo(f"folder/entry-{number:03}.txt", (2001, 2, 3, 4, 5, 6)),
                chance.randbytes(size),
            )
    return path


def rates(folder: Path, rounds: int, count: int) -> None:
    zipped = archive(folder / "a.zip", 3, 40)
    picture = shutil.copy(fmrw.samples() / "polyglot.png", folder)
    commands = [["xxd", "-l", "16", str(zipped)], ["unzip", "-l", str(zipped)], ["pngcheck", str(picture)]]
    with Runs(folder) as runs:
        worker = psutil.Process(runs.server)
        driver = psutil.Process()
        everybody = [driver, *driver.children(recursive=True)]
        for command in [each for each in commands if shutil.which(each[0])]:
            found: dict[str, list[float]] = {"bare": [], "ours": []}
            cpu = []
            for _ in range(rounds):
                times = [spent(everybody)]
                found["bare"].append(bare(command, count))
                times.append(spent(everybody))
                found["ours"].append(ours(runs, command, Path(command[-1]), count))
                times.append(spent(everybody))
                cpu.append((times[1] - times[0]) / (times[2] - times[1]))
            one, other = (statistics.median(each) for each in found.values())
            ratio = statistics.median(b / a for a, b in zip(*found.values(), strict=True))
            print(
                f"{shlex.join([*command[:-1], '{}']):16} bare {one:7,.0f}/s  ours {other:7,.0f}/s  {ratio:.2f} x, aim 0.80; CPU time "
                f"{statistics.median(cpu):.2f} x ({min(cpu):.2f} to {max(cpu):.2f})",
                flush=True,
            )
        print(f"worker: {worker.memory_info().rss / 1e6:.0f} MB, aim 60", flush=True)


def timed(what: str, action: Callable[[], str], aim: str) -> tuple[float, float]:
    """Print what an action takes; give its time and its CPU time."""
    here = [psutil.Process()]
    begun, before = time.perf_counter(), spent(here)
    told = action()
    taken, cpu = time.perf_counter() - begun, spent(here) - before
    print(f"{what}: {taken:.1f} s, {cpu:.1f} s of CPU, {told}; aim {aim}", flush=True)
    return taken, cpu


def probes(folder: Path) -> None:
    small = archive(folder / "small.zip", 4, 40)
    large = archive(folder / "large.zip", 100, 4000)

    def whole(path: Path, *, exact: bool) -> str:
        found = fmrw.probe(path, ["unzip", "-l", "{}"], exact=exact)
        return f"{found.runs:,} runs, {found.size:,} bytes, {found.baseline['read_bytes']:,} read"

    timed(
        "map, exact, of a small ZIP", lambda: whole(small, exact=True), "3.5 s and 1,700 runs for 833 bytes"
    )
    timed("map of a ZIP of 400 KB", lambda: whole(large, exact=False), "8 s")
    for size in (4 << 20, 4 << 30):
        sparse = folder / f"{size}.bin"
        with sparse.open("wb") as made:
            made.write(b"head")
            made.truncate(size)
        timed(
            f"map of a file of {size:,} bytes, 16 read",
            lambda sparse=sparse: str(fmrw.probe(sparse, ["xxd", "-l", "16", "{}"]).runs),
            "the same",
        )  # type: ignore[misc]
        sparse.unlink()
    print(f"driver: {psutil.Process().memory_info().rss / 1e6:.0f} MB", flush=True)


def reducer(folder: Path, shrinkray: str | None) -> None:
    small = folder / "small.zip"
    told: list[int] = []

    def reduce() -> str:
        found = fmrw.reduce(small, ["unzip", "-l", "{}"], folder / "reduced.zip", keep="output")
        told.append(found.nonzero)
        return f"{found.nonzero} bytes are not zero, {found.runs:,} runs"

    own = timed("reducer", reduce, "0.2 x of shrinkray")
    if shrinkray is None:
        return
    expected = subprocess.run(["unzip", "-l", small], capture_output=True, check=True).stdout.split(b"\n", 1)[
        1
    ]
    (folder / "expected").write_bytes(expected)
    predicate = folder / "predicate"
    predicate.write_text(f'#!/bin/sh\nunzip -l "$1" 2>/dev/null | tail -n +2 | cmp -s - {folder}/expected\n')
    predicate.chmod(0o755)
    work = Path(shutil.copy(small, folder / "shrunk.zip"))

    def shrink() -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [shrinkray, "--ui", "basic", "--input-type", "arg", predicate, work],
                capture_output=True,
                check=False,
                timeout=_PATIENCE_S,
            )
        left = work.read_bytes()
        return f"{len(left) - left.count(0)} of {len(left)} bytes are not zero"

    other = timed(f"shrinkray, for {_PATIENCE_S} s at most", shrink, "")
    for name, one, two in zip(("time", "CPU time"), own, other, strict=True):
        print(f"reducer / shrinkray: {one / two:.3f} of its {name}, aim 0.20", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--only-rates", action="store_true")
    parser.add_argument("--shrinkray")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    busy = ": THE MACHINE IS BUSY, do not quote these figures" if load > rig.QUIET_LOAD else ""
    print(
        f"{SLOTS} slots, {arguments.rounds} rounds, load {load:.1f}{busy}, Python {sys.version.split()[0]}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="fmrw-bench-") as name:
        folder = Path(name, "watched")
        folder.mkdir()
        rates(folder, arguments.rounds, arguments.count)
        if arguments.only_rates:
            return
        probes(folder)
        reducer(folder, arguments.shrinkray)


if __name__ == "__main__":
    main()
