"""How long figures take and how much memory the renderer needs. Prints a table.

taskset -c 1 python tests/bench/figures.py [EXTENTS] [RENDERS]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 4 * 2**30
WARM = 7
COLD = 3
MEMORY = """
import sys, resource
import numpy as np, polars as pl
from pathlib import Path
from fmrw.analysis.index.tiles import Index
from fmrw.figures.heatmap import heatmap_pdf
from fmrw.figures.page import About
from fmrw.trace.schema import EVENTS, empty

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

starts = np.random.default_rng(1).integers(0, 10**6, 3000)
rows = {"seq": np.arange(3000), "start": starts, "end": starts + 200, "op": "read"}
frame = pl.DataFrame(rows).cast({"op": EVENTS["op"]})
frame = pl.concat([empty(), frame], how="diagonal_relaxed").cast(dict(EVENTS))
index, about, seen = Index.build(frame), About("a", 10**6), []
for _ in range(int(sys.argv[1])):
    heatmap_pdf(index, about)
    seen.append(resident())
print(f"{seen[0]:.0f} to {seen[-1]:.0f}, most {max(seen):.0f}")
"""


def recording(count: int) -> pl.DataFrame:
    random = np.random.default_rng(1)
    starts = (SIZE * random.beta(0.4, 0.6, count)).astype(np.int64)
    return pl.DataFrame(
        {
            "seq": np.arange(count),
            "time": np.arange(count) * 20,
            "op": np.where(random.random(count) < 0.1, "write", "read"),
            "start": starts,
            "end": np.minimum(starts + random.integers(1, 65_536, count), SIZE),
            "fidelity": "byte",
            "handle": random.integers(0, 4, count),
            "pid": 1,
            "tid": 1,
            "process": "reader",
        }
    ).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))


def seconds(call: Callable[[], object], repeats: int = 1) -> str:
    """Median wall time and processor time; on a busy machine only the second says much."""
    wall, cpu = [], []
    for _ in range(repeats):
        begin, spent = time.perf_counter(), processor()
        call()
        wall.append(time.perf_counter() - begin)
        cpu.append(processor() - spent)
    return f"{statistics.median(wall):.2f} ({statistics.median(cpu):.2f})"


def processor() -> float:
    """Processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def row(what: str, value: str) -> None:
    print(f"{what:<58}{value:>24}", flush=True)


def cold(folder: Path) -> None:
    """Time the first heatmap at each of the doors, with everything that has to be imported before."""
    import fmrw  # noqa: PLC0415 - light; the yardsticks below start processes of their own

    watched, session = folder / "watched", folder / "session"
    watched.mkdir()
    (watched / "file").write_bytes(bytes(2**20))
    read = [sys.executable, "-c", "import sys; open(sys.argv[1], 'rb').read()", watched / "file"]
    firsts = []
    for _ in range(COLD):
        with fmrw.mount(watched, output=session) as mount:
            subprocess.run(read, check=True)
            begin = time.perf_counter()
            (watched / "file-heatmap.pdf").read_bytes()
            firsts.append(time.perf_counter() - begin)
        del mount
        shutil.rmtree(folder / "kept", ignore_errors=True)
        session.rename(folder / "kept")
    row("cold: the heatmap in a mount, helper not yet started (s)", f"{statistics.median(firsts):.2f}")
    report = ["report", folder / "kept", "file", "-o", folder / "figures", "--format", "pdf"]
    row("cold: fmrw report, the command (s)", alone("-m", "fmrw", *report))
    program = "from fmrw.figures.heatmap import heatmap_pdf; from fmrw.figures.page import About; from fmrw.trace.schema import empty; heatmap_pdf(empty(), About('a', 4096))"
    row("cold: any Python process, altair imported whole (s)", alone("-c", program))


def alone(*arguments: str | Path) -> str:
    """Time an interpreter from its start to its end."""
    call = [sys.executable, *arguments]
    return seconds(lambda: subprocess.run(call, check=True, capture_output=True), COLD)


def main(count: int, renders: int) -> None:
    with tempfile.TemporaryDirectory(prefix="fmrw-bench-") as folder:
        cold(Path(folder))
    from fmrw.analysis.index.tiles import Index  # noqa: PLC0415 - imports are timed apart
    from fmrw.figures import render  # noqa: PLC0415
    from fmrw.figures.heatmap import heatmap, heatmap_pdf  # noqa: PLC0415
    from fmrw.figures.page import About  # noqa: PLC0415
    from fmrw.figures.plots import access_order, timeline  # noqa: PLC0415
    from fmrw.figures.strip import lanes, strip  # noqa: PLC0415

    about = About("big.bin", SIZE)
    events = recording(count)
    index = Index.build(events)
    row(
        f"first heatmap of {count:,} extents, index at hand (s)",
        seconds(lambda: heatmap_pdf(index, about)),
    )
    row("the same, warm (s)", seconds(lambda: heatmap_pdf(index, about), WARM))
    row("  of it the chart (s)", seconds(lambda: heatmap(index, about), WARM))
    row("size (bytes)", f"{len(heatmap_pdf(index, about)):,}")
    row("index built from events (s)", seconds(lambda: Index.build(events)))
    row("HTML (bytes)", f"{len(render.html(heatmap(index, about))):,}")
    for chart in (strip, lanes, timeline, access_order):
        made = []
        row(
            f"{chart.__name__} (s)",
            seconds(lambda chart=chart, made=made: made.append(chart(events, about))),
        )
        row("  rows", f"{sum(len(rows) for rows in made[0].to_dict()['datasets'].values()):,}")
    run = [sys.executable, "-c", MEMORY, str(renders)]
    row(
        f"renderer, first to last of {renders} renders (MB)",
        subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip(),
    )


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [5_000_000, 500][len(numbers) :]))
