"""How long figures take and how much memory the renderer needs. Prints a table.

taskset -c 1 python tests/bench/figures.py [EXTENTS] [RENDERS]
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 4 * 2**30
WARM = 7


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


def seconds(call: Callable[[], object], repeats: int = 1) -> float:
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def resident() -> float:
    """Resident memory in MB now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def row(what: str, value: str) -> None:
    print(f"{what:<58}{value:>14}", flush=True)


def cold() -> float:
    """Start an interpreter, import everything, draw the first heatmap."""
    program = "from fmrw.figures.heatmap import heatmap_pdf; from fmrw.figures.page import About; from fmrw.trace.schema import empty; heatmap_pdf(empty(), About('a', 4096))"
    return seconds(
        lambda: subprocess.run([sys.executable, "-c", program], check=True, stdin=subprocess.DEVNULL), 3
    )


def main(count: int, renders: int) -> None:
    row("cold: start, imports, first heatmap (s)", f"{cold():.2f}")
    from fmrw.analysis.tiles import Index  # noqa: PLC0415 - imports are timed apart
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
        f"{seconds(lambda: heatmap_pdf(index, about)):.2f}",
    )
    row("the same, warm (s)", f"{seconds(lambda: heatmap_pdf(index, about), WARM):.3f}")
    row("  of it the chart (s)", f"{seconds(lambda: heatmap(index, about), WARM):.3f}")
    row("size (bytes)", f"{len(heatmap_pdf(index, about)):,}")
    row("index built from events (s)", f"{seconds(lambda: Index.build(events)):.2f}")
    row("HTML (bytes)", f"{len(render.html(heatmap(index, about))):,}")
    for chart in (strip, lanes, timeline, access_order):
        made = []
        row(
            f"{chart.__name__} (s)",
            f"{seconds(lambda chart=chart, made=made: made.append(chart(events, about))):.2f}",
        )
        row("  rows", f"{sum(len(rows) for rows in made[0].to_dict()['datasets'].values()):,}")
    before = resident()
    for _ in range(renders):
        heatmap_pdf(index, about)
    row(f"memory grown over {renders} renders (MB)", f"{resident() - before:.0f}")
    row("resident (MB), extents included", f"{resident():.0f}")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [5_000_000, 500][len(numbers) :]))
