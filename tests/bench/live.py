"""A view that follows 20,000 reads a second, in a real kernel: what it costs the watched program and the notebook.

    python tests/bench/live.py [ROUNDS]

Rounds alternate between a mount that nobody looks at and the same mount with an explorer that is shown and follows. The watched program
reads 4 KiB at random places, 200 times every 10 ms, and says how long its reads took; meanwhile the notebook runs `1+1` again and again.
Prints medians over rounds, and the ratio of the two sides.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking.client import BlockingKernelClient

SIZE, SECONDS, RATE, TICK_S = 1 << 30, 8, 20_000, 0.01
PROGRAM = f"""
import os, random, time
fd = os.open("big.bin", os.O_RDONLY)
choose = random.Random(4)
burst, spent, took = {int(RATE * TICK_S)}, 0.0, []
begin = time.perf_counter()
for tick in range(int({SECONDS} / {TICK_S})):
    late = begin + tick * {TICK_S} - time.perf_counter()
    if late > 0:
        time.sleep(late)
    places = [choose.randrange({SIZE} - 4096) for _ in range(burst)]
    at = time.perf_counter()
    for place in places:
        os.pread(fd, 4096, place)
    took.append((time.perf_counter() - at) / burst)
took.sort()
print(sum(took) / len(took) * 1e6, took[len(took) // 2] * 1e6, burst * len(took) / (time.perf_counter() - begin))
"""
MOUNT = "import fmrw\nfrom fmrw.explorer.explorer import explore\nmounted = fmrw.mount({root!r})"
VIEW = "view = explore(mounted.trace, 'big.bin')\nview"
CLOSE = "view.close()\nview.recorded.rows.height"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder, notebook(Path(folder)) as client:
        root = Path(folder) / "watched"
        root.mkdir()
        with (root / "big.bin").open("wb") as file:
            file.truncate(SIZE)
        sides: dict[bool, list[Round]] = {False: [], True: []}
        for number in range(2 * rounds):
            seen = bool((number + number // 2) % 2)  # without, with, with, without, …
            sides[seen].append(one_round(client, root, seen=seen))
            print(f"    {'with a view' if seen else 'without':<12} {sides[seen][-1]}", flush=True)
    report(sides)


class Round:
    """What one round found, in µs per read and ms per cell."""

    def __init__(self, said: str, cells: list[float]) -> None:
        self.mean, self.median, self.rate = map(float, said.split())
        self.cells = cells

    def __str__(self) -> str:
        return f"{self.median:6.1f} µs a read (mean {self.mean:6.1f}), {self.rate:8,.0f} a second, `1+1` {statistics.median(self.cells):5.1f} ms, {max(self.cells):5.1f} at worst"


class notebook:  # noqa: N801 - used as a function
    """A kernel, and a client of it; ends with its `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> BlockingKernelClient:
        self._manager, self._client = start_new_kernel(kernel_name="python3", cwd=str(self._folder))
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def one_round(client: BlockingKernelClient, root: Path, *, seen: bool) -> Round:
    run(client, MOUNT.format(root=str(root)))
    if seen:
        run(client, VIEW)
    try:
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], cwd=root, stdout=subprocess.PIPE, text=True
        )
        cells = list(ones(client, program))
        said, _ = program.communicate()
    finally:
        if seen:
            run(client, CLOSE)
        run(client, "mounted.unmount(force=True)")
    return Round(said, cells)


def ones(client: BlockingKernelClient, program: subprocess.Popen[str]) -> Iterator[float]:
    """Run `1+1` until the program ends, five times a second; give the milliseconds each took."""
    while program.poll() is None:
        began = time.perf_counter()
        run(client, "1+1")
        yield (time.perf_counter() - began) * 1e3
        time.sleep(0.2)


def run(client: BlockingKernelClient, code: str) -> None:
    reply = client.execute_interactive(code, store_history=False, output_hook=lambda _: None, timeout=120)
    if reply["content"]["status"] != "ok":
        raise SystemExit("\n".join(reply["content"]["traceback"]))


def report(sides: dict[bool, list[Round]]) -> None:
    for name in ("median", "mean"):
        without, seen = (
            statistics.median(getattr(each, name) for each in sides[side]) for side in (False, True)
        )
        print(
            f"  {name + ' of a read':<24} {without:7.1f} µs without, {seen:7.1f} µs with a view: {seen / without:5.2f} (at most 1.10)"
        )
    cells = [cell for each in sides[True] for cell in each.cells]
    print(
        f"  {'a cell `1+1`':<24} {statistics.median(cells):7.1f} ms median, {max(cells):7.1f} ms at worst (at most 200)"
    )


if __name__ == "__main__":
    main()
