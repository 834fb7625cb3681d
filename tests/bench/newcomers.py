"""What a new process costs the worker: children that open, read and close once, and one process that does it as often, beside children that do nothing.

    python tests/bench/newcomers.py             # and with the Python of another build, to compare

The difference is what a process costs beyond its calls, in CPU time of the worker; rounds alternate, all on one CPU.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
from pathlib import Path

import psutil
import rig

import fmrw

SOURCE = rig.HERE / "newcomers.c"


def used(worker: psutil.Process) -> float:
    """Give the CPU time of a process and all its threads, also those that ended, in seconds."""
    return sum(worker.cpu_times()[:2])


def cost(worker: psutil.Process, client: Path, how: str, file: Path, count: int) -> float:
    """Give the worker's CPU time for a process, in microseconds."""
    rig.settle((worker.pid,))
    before = used(worker)
    subprocess.run([client, how, file, str(count)], check=True)
    rig.settle((worker.pid,))
    return (used(worker) - before) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--cpu", type=int, default=1)
    arguments = parser.parse_args()
    rig.require("cc")
    print(rig.heading(arguments.cpu, arguments.rounds), flush=True)
    with tempfile.TemporaryDirectory(prefix="fmrw-bench-") as folder:
        client, file = Path(folder, "client"), Path(folder, "watched", "file")
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", SOURCE, "-o", client], check=True)
        file.parent.mkdir()
        file.write_bytes(bytes(1 << 16))
        with fmrw.mount(file.parent) as mount:
            worker = psutil.Process(mount.worker_pid)
            taken: dict[str, list[float]] = {"processes": [], "beside": []}
            for _ in range(arguments.rounds):
                for how, costs in taken.items():
                    costs.append(cost(worker, client, how, file, arguments.count))
    many, one = (statistics.median(costs) for costs in taken.values())
    print(
        f"open, read, close: {one:.0f} us of the worker in one process, {many:.0f} us in one each: a new process costs {many - one:.0f} us"
    )


if __name__ == "__main__":
    main()
