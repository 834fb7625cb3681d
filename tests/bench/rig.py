"""What the capture benchmarks share: built programs, the two mounts side by side, one CPU, a table.

Everything a measurement touches (client, servers, this process) inherits the CPU set by `pin`, as under
`taskset -c 1`: with two CPUs the scheduler decides more than the code. The rounds alternate between the mounts, so
that a machine that slows down slows both, and `settle` waits between them until whatever one round left running in
the background has ended: its cost is not charged to the next.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
OPTIONS = "nonempty,use_ino,big_writes,attr_timeout=0,entry_timeout=0,negative_timeout=0"
TIMEOUT = 10.0
QUIET_LOAD = 0.7


def pin(cpu: int) -> int:
    """Keep this process, all its threads to come and all its children on one CPU; gives the CPU really used."""
    allowed = os.sched_getaffinity(0)
    chosen = cpu if cpu in allowed else max(allowed)
    os.sched_setaffinity(0, {chosen})
    return chosen


def heading(cpu: int, rounds: int) -> str:
    """Say how the figures come about, and when they are worth nothing."""
    load = os.getloadavg()[0]
    busy = ": THE MACHINE IS BUSY, do not quote these figures" if load > QUIET_LOAD else ""
    return f"pinned to CPU {pin(cpu)}, {rounds} rounds, load {load:.1f}{busy}"


def build(folder: Path) -> tuple[Path, Path]:
    """Compile the yardstick and the client into a folder of their own."""
    programs = folder / "programs"
    programs.mkdir()
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "fuse"], check=True, capture_output=True, text=True
    ).stdout.split()
    for name, extra in (("reference", flags), ("client", [])):
        source = HERE / f"{name}.c"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", source, "-o", programs / name, *extra], check=True)
    return programs / "reference", programs / "client"


def mounted(directory: Path) -> bool:
    return os.path.ismount(directory)


@contextmanager
def reference_mount(program: Path, directory: Path) -> Iterator[None]:
    """Serve the directory through the C yardstick."""
    server = subprocess.Popen([program, directory, "-f", "-o", OPTIONS])
    try:
        deadline = time.monotonic() + TIMEOUT
        while not mounted(directory):
            if server.poll() is not None or time.monotonic() > deadline:
                message = f"the reference did not mount {directory}"
                raise RuntimeError(message)
            os.sched_yield()
        yield
    finally:
        if mounted(directory):
            subprocess.run(["fusermount", "-u", directory], check=True)
        server.wait(TIMEOUT)


def settle(pids: tuple[int, ...], quiet: float = 0.3) -> None:
    """Wait until neither this process nor `pids` used the CPU for `quiet` seconds."""
    processes = [psutil.Process(pid) for pid in (os.getpid(), *pids)]
    used = -1.0
    while True:
        spent = sum(sum(process.cpu_times()[:2]) for process in processes)
        if spent - used < 0.02:
            return
        used = spent
        time.sleep(quiet)


def alternate(
    rounds: int, measures: dict[str, Callable[[], float]], pids: tuple[int, ...]
) -> dict[str, list[float]]:
    """Take every measure once per round, one after the other; the first round warms up and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, measure in measures.items():
            settle(pids)
            value = measure()
            if number:
                taken[name].append(value)
    return taken


def row(label: str, taken: dict[str, list[float]], unit: str, against: str = "reference") -> str:
    """Make one line: the medians, and the ratio of each to the yardstick with the spread over the rounds."""
    cells = [f"{label:<28}"]
    for name, values in taken.items():
        cell = f"{name} {statistics.median(values):9.1f} {unit}"
        if name != against and against in taken:
            ratios = [mine / theirs for mine, theirs in zip(values, taken[against], strict=True)]
            ratio = statistics.median(values) / statistics.median(taken[against])
            cell += f"  = {ratio:.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
        cells.append(cell)
    return "   ".join(cells)


def require(*tools: str) -> None:
    """Stop with one line where a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise SystemExit(
            f"missing: {', '.join(missing)}. On Debian: apt install gcc pkg-config libfuse-dev strace git"
        )
