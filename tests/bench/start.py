"""What starting costs, beside another build of fmrw.

    python tests/bench/start.py --against DIR      # DIR: a clone of that build, with its own .venv

Each round runs both builds, one after the other, on the same two CPUs; ratios are of medians, and of single rounds in brackets. CPU
is user and system time of all processes a command started and waited for.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from rig import QUIET_LOAD, require, row

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parents[2]
Command = list[str | Path]


def spent() -> float:
    """Give the CPU seconds of all children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(command: Command) -> tuple[float, float]:
    """Run a command; give its wall time and its CPU time in milliseconds."""
    used, begun = spent(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    took = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr.decode(errors='replace')}")
    return took * 1000, (spent() - used) * 1000


def programs(build: Path) -> tuple[Path, Path]:
    """Find the Python and the command of a build."""
    scripts = build / ".venv" / "bin"
    if not (scripts / "fmrw").exists():
        raise SystemExit(f"{scripts / 'fmrw'}: missing; `bash tests/run --setup` in that clone makes it.")
    return scripts / "python", scripts / "fmrw"


def commands(folder: Path) -> dict[str, Callable[[Path, Path], Command]]:
    """Give what is measured: a name, and the command of a build's Python and fmrw."""
    watched, outputs = folder / "watched", iter(range(10**6))
    watched.mkdir()
    with zipfile.ZipFile(watched / "a.zip", "w") as archive:
        for number in range(50):
            archive.writestr(f"file{number}", bytes(1000))

    def recording(_python: Path, fmrw: Path) -> Command:
        return [fmrw, "run", watched, "--no-reports", "--", "true"]

    def reporting(_python: Path, fmrw: Path) -> Command:
        output = folder / f"session{next(outputs)}"
        return [fmrw, "run", watched, "-o", output, "--", "unzip", "-l", watched / "a.zip"]

    return {
        "run --no-reports true": recording,
        "run -o OUT unzip -l": reporting,
        "import fmrw": lambda python, _fmrw: [python, "-c", "import fmrw"],
        "fmrw --help": lambda _python, fmrw: [fmrw, "--help"],
    }


def compare(name: str, make: Callable[[Path, Path], Command], builds: dict[str, Path], rounds: int) -> None:
    """Measure one command with both builds, and print a line for wall and one for CPU time."""
    walls: dict[str, list[float]] = {build: [] for build in builds}
    cpus: dict[str, list[float]] = {build: [] for build in builds}
    for number in range(rounds + 1):
        for build, place in builds.items():
            wall, cpu = measured(make(*programs(place)))
            if number:  # the first round warms up
                walls[build].append(wall)
                cpus[build].append(cpu)
    print(row(f"{name}, wall", walls, "ms", against="before"))
    print(row(f"{name}, CPU", cpus, "ms", against="before"))
    print(f"{'':<28}least now: wall {min(walls['now']):.0f} ms, CPU {min(cpus['now']):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, required=True, metavar="DIR", help="clone of the other build")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", metavar="TEXT", help="commands whose name holds this text")
    arguments = parser.parse_args()
    require("unzip")
    cpus = set(sorted(os.sched_getaffinity(0))[:2])
    os.sched_setaffinity(0, cpus)
    load = os.getloadavg()[0]
    busy = ": THE MACHINE IS BUSY, quote ratios only" if load > QUIET_LOAD else ""
    print(
        f"pinned to CPUs {sorted(cpus)}, {arguments.rounds} rounds, load {load:.1f}{busy}, Python {sys.version.split()[0]}"
    )
    builds = {"before": arguments.against.resolve(), "now": HERE}
    with tempfile.TemporaryDirectory(prefix="fmrw-bench-") as folder:
        for name, make in commands(Path(folder)).items():
            if arguments.only in name:
                compare(name, make, builds, arguments.rounds)


if __name__ == "__main__":
    main()
