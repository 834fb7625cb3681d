"""What recording costs: the fmrw mount beside a C passthrough that records nothing, on one CPU.

    python tests/bench/capture.py                    # calls, the millionth event, the longest stall
    python tests/bench/capture.py --long             # and the worker's memory after 5 million events
    python tests/bench/capture.py --reference-only   # the yardstick and strace alone

Times are per system call of `client.c`, as medians over alternating rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import rig

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_SIZE = 64 * 2**20
CALLS = 20_000
MILLION = 1_000_000
MEASURES = (
    ("4 KiB random pread", "random", CALLS),
    ("128 KiB sequential read", "sequential", 4),
    ("4 KiB pwrite", "write", CALLS),
)


def run_client(client: Path, what: str, file: Path, count: int, *prefix: str) -> float:
    done = subprocess.run(
        [*prefix, client, what, file, str(count)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def compare(client: Path, sides: dict[str, Path], rounds: int, pids: tuple[int, ...]) -> None:
    for label, what, count in MEASURES:
        measures: dict[str, Callable[[], float]] = {
            name: (lambda file=file, what=what, count=count: run_client(client, what, file, count) / 1000)
            for name, file in sides.items()
        }
        print(rig.row(label, rig.alternate(rounds, measures, pids), "us"), flush=True)


def beside_strace(client: Path, plain: Path, rounds: int) -> None:
    strace = ("strace", "-f", "-e", "trace=read,pread64", "-o", os.devnull)
    measures: dict[str, Callable[[], float]] = {
        "plain": lambda: run_client(client, "random", plain, CALLS) / 1000,
        "strace": lambda: run_client(client, "random", plain, CALLS, *strace) / 1000,
    }
    print(rig.row("4 KiB random pread, no mount", rig.alternate(rounds, measures, ()), "us"), flush=True)


def growth(client: Path, file: Path, calls: int) -> None:
    """Print what each block of 100,000 events cost, and the last against the first."""
    done = subprocess.run([client, "blocks", file, str(calls)], check=True, capture_output=True, text=True)
    blocks = [float(line) / 1000 for line in done.stdout.split()]
    print(f"us per event, by 100,000:    {' '.join(f'{block:.1f}' for block in blocks)}")
    last, first = statistics.median(blocks[-3:]), statistics.median(blocks[:3])
    print(f"the last 300,000 / the first {last / first:9.2f}x", flush=True)


def resident(pid: int, after: str) -> None:
    print(f"worker resident {after:<12} {psutil.Process(pid).memory_info().rss / 2**20:9.1f} MiB", flush=True)


def stall(client: Path, file: Path, meanwhile: Callable[[], object]) -> tuple[float, float]:
    """Give the slowest watched read in ms and the seconds `meanwhile` took, which runs beside the reads."""
    process = subprocess.Popen(
        [client, "stall", file, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    begun = time.monotonic()
    meanwhile()
    took = time.monotonic() - begun
    slowest, _ = process.communicate()
    return int(slowest) / 1e6, took


def stalls(client: Path, file: Path, label: str, rounds: int = 5) -> None:
    """Print the longest stall while the heatmap is made, beside the longest while nothing else happens."""
    heatmap = file.with_name(f"{file.name}-heatmap.pdf")
    heatmap.read_bytes()  # the renderer is warm from here on
    busy = [stall(client, file, heatmap.read_bytes) for _ in range(rounds)]
    idle = [stall(client, file, lambda took=took: time.sleep(took)) for _, took in busy]
    print(
        f"longest stall, {label}: {max(worst for worst, _ in busy):.1f} ms while the heatmap is made "
        f"(median of {rounds}: {statistics.median(worst for worst, _ in busy):.1f}; "
        f"a heatmap took {statistics.median(took for _, took in busy):.2f} s), "
        f"{max(worst for worst, _ in idle):.1f} ms without",
        flush=True,
    )


def first_heatmap(file: Path) -> None:
    begun = time.monotonic()
    size = len(file.with_name(f"{file.name}-heatmap.pdf").read_bytes())
    print(f"first heatmap                {time.monotonic() - begun:9.2f} s ({size} bytes)", flush=True)


def fmrw_alone(client: Path, directory: Path, *, long: bool, everywhere: set[int]) -> None:
    """Measure what has no yardstick: growth and memory on one CPU, stalls on one and on all."""
    import fmrw  # noqa: PLC0415 - the yardstick alone runs without fmrw

    file = directory / "file"
    with fmrw.mount(directory, reports="beside") as mount:
        resident(mount.worker_pid, "at start")
        growth(client, file, MILLION)
        resident(mount.worker_pid, "after 1 M")
        first_heatmap(file)
        stalls(client, file, "one CPU")
        if long:
            run_client(client, "random", file, 4 * MILLION)
            resident(mount.worker_pid, "after 5 M")
    os.sched_setaffinity(0, everywhere)
    with fmrw.mount(directory, reports="beside"):
        run_client(client, "random", file, 10 * CALLS)
        stalls(client, file, f"{len(everywhere)} CPUs")


def measure(folder: Path, arguments: argparse.Namespace, everywhere: set[int]) -> None:
    reference, client = rig.build(folder)
    names = ("plain", "reference") if arguments.reference_only else ("plain", "reference", "fmrw")
    files = {name: folder / name / "file" for name in names}
    for file in files.values():
        file.parent.mkdir()
        file.write_bytes(os.urandom(FILE_SIZE))
    plain = files.pop("plain")
    with ExitStack() as stack:
        pids: tuple[int, ...] = ()
        stack.enter_context(rig.reference_mount(reference, files["reference"].parent))
        if "fmrw" in files:
            import fmrw  # noqa: PLC0415 - the yardstick alone runs without fmrw

            pids = (stack.enter_context(fmrw.mount(files["fmrw"].parent, reports="beside")).worker_pid,)
        compare(client, files, arguments.rounds, pids)
    if arguments.calls_only:
        return
    beside_strace(client, plain, arguments.rounds)
    if "fmrw" in files:
        fmrw_alone(client, files["fmrw"].parent, long=arguments.long, everywhere=everywhere)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cpu", type=int, default=1)
    parser.add_argument("--long", action="store_true", help="memory after 5 million events: minutes more")
    parser.add_argument("--calls-only", action="store_true", help="nothing but the time per call")
    parser.add_argument("--reference-only", action="store_true")
    arguments = parser.parse_args()
    rig.require("cc", "pkg-config", "fusermount", "strace")
    everywhere = os.sched_getaffinity(0)
    print(rig.heading(arguments.cpu, arguments.rounds), flush=True)
    with tempfile.TemporaryDirectory(prefix="fmrw-bench-") as folder:
        measure(Path(folder), arguments, everywhere)


if __name__ == "__main__":
    main()
