"""What call sites cost: the same programs plain, under fmrw, with sites, and under `strace -k`.

    python tests/bench/sites.py [--rounds N]

Each round runs all four, one after the other, so that a machine that slows down slows them all; figures are medians. `worker` is the CPU time of the
worker for each read, `added` what sites add to it. The mount is there before a program starts, and counts nowhere.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rig import QUIET_LOAD

import fmrw

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).parents[2] / "data"
STRACE = ["strace", "-f", "-k", "-qq", "-e", "trace=read,pread64", "-e", "signal=none", "-o", "/dev/null"]
PROGRAMS = {
    "7z t": ["7z", "t", "many.zip"],
    "pdftotext": ["pdftotext", "polyglot.pdf", "/dev/null"],
    "sqlite3": ["sqlite3", "many.db", "select count(*), sum(length(b)) from t where b like '%7%'"],
    "dd bs=512": ["dd", "if=large", "of=/dev/null", "bs=512", "status=none"],
}


def prepare(folder: Path) -> None:
    """Make the files that are read."""
    shutil.copy(DATA / "polyglot.pdf", folder)
    (folder / "large").write_bytes(os.urandom(4 << 20))
    for number in range(60):
        (folder / f"part{number}").write_bytes(os.urandom(1 << 14))
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-c", "many.zip", *(f"part{n}" for n in range(60))],
        cwd=folder,
        check=True,
    )
    script = "pragma page_size=1024; create table t(a integer primary key, b text); with recursive n(i) as (select 1 union all select i+1 from n where i<20000) insert into t select i, hex(randomblob(20)) from n;"
    subprocess.run(["sqlite3", "many.db", script], cwd=folder, check=True)


def run(command: Sequence[str], folder: Path) -> float:
    """Give the wall time of a program, in milliseconds."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


def spent_by(pid: int) -> float:
    """Give the CPU time of a process in seconds, by its own clock (clock_getcpuclockid(3)): `/proc` counts in steps of 10 ms."""
    return time.clock_gettime(~pid << 3 | 2)


def under(folder: Path, command: Sequence[str], *, sites: bool) -> tuple[float, float, fmrw.Trace]:
    """Give wall time, the worker's CPU time for each read in microseconds, and the recording."""
    with fmrw.mount(folder, sites=sites, reports="off") as mount:
        before = spent_by(mount.worker_pid)
        wall = run(command, folder)
        spent = spent_by(mount.worker_pid) - before
    reads = mount.trace.events.filter(op="read").height
    return wall, spent * 1e6 / max(reads, 1), mount.trace


def table_size(trace: fmrw.Trace, folder: Path) -> int:
    """Give the bytes of a session's table of sites, with names."""
    target = folder / "session"
    shutil.rmtree(target, ignore_errors=True)
    trace.save(target)
    return (target / "sites.parquet").stat().st_size


def compare(name: str, command: Sequence[str], folder: Path, rounds: int) -> None:
    walls: dict[str, list[float]] = {"plain": [], "fmrw": [], "sites": [], "strace -k": []}
    costs: dict[str, list[float]] = {"fmrw": [], "sites": []}
    for _round in range(rounds):
        walls["plain"].append(run(command, folder))
        for kind in ("fmrw", "sites"):
            wall, cost, trace = under(folder, command, sites=kind == "sites")
            walls[kind].append(wall)
            costs[kind].append(cost)
        walls["strace -k"].append(run([*STRACE, *command], folder))
    middle = {kind: statistics.median(each) for kind, each in walls.items()}
    worker = {kind: statistics.median(each) for kind, each in costs.items()}
    size = table_size(trace, folder.parent)
    print(
        f"{name:<10} {trace.events.filter(op='read').height:>6} {trace.events['site'].drop_nulls().n_unique():>5}"
        + "".join(f" {middle[kind]:>9.0f}" for kind in walls)
        + f" {middle['sites'] / middle['fmrw']:>7.2f}x {middle['strace -k'] / middle['sites']:>7.1f}x"
        + f" {worker['fmrw']:>7.1f} {worker['sites'] - worker['fmrw']:>7.1f} {size:>8,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    load = os.getloadavg()[0]
    print(
        f"{rounds} rounds, load {load:.1f}"
        + (": THE MACHINE IS BUSY, do not quote these figures" if load > QUIET_LOAD else "")
    )
    print(
        "program     reads sites  plain ms   fmrw ms  sites ms strace ms sites/fmrw strace/sites worker µs added µs  table B"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "watched"
        folder.mkdir()
        prepare(folder)
        for name, command in PROGRAMS.items():
            compare(name, command, folder, rounds)


if __name__ == "__main__":
    main()
