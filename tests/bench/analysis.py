"""Speed and memory of the analysis on ten million extents of one file.

    python tests/bench/analysis.py [MILLIONS [PATTERN]]

Prints one table per pattern of access (0, 1 and 2; all without PATTERN). Times are medians (of one for what happens
once). Memory is the process's, so only the first pattern's peak is its own.
"""

from __future__ import annotations

import gc
import resource
import statistics
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.analysis import ranges
from fmrw.analysis.index.tiles import Index, square_edges
from fmrw.trace.schema import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 8
PATTERNS = {  # name → bytes of the file, longest extent, whether offsets run on
    "small reads all over 64 GiB": (2**36, 5_000, False),
    "1 GiB read 100 times over": (2**30, 20_000, False),
    "sequential, 512 bytes each": (512 * 10_000_000, 512, True),
}


def events(count: int, size: int, longest: int, *, sequential: bool) -> pl.DataFrame:
    random = np.random.default_rng(1)
    number = np.arange(count)
    start = number * longest % size if sequential else random.integers(0, size - longest, count)
    length = np.full(count, longest) if sequential else random.integers(1, longest, count)
    pid = random.integers(100, 100 + PROCESSES, count).astype(np.int32)
    frame = pl.DataFrame({"seq": number, "start": start, "end": start + length, "pid": pid})
    return frame.with_columns(
        time=pl.from_epoch("seq", time_unit="us").dt.replace_time_zone("UTC"),
        op=pl.when(pl.col("seq") % 16 > 0).then(pl.lit("read")).otherwise(pl.lit("write")).cast(EVENTS["op"]),
        process=pl.concat_str(pl.lit("parser"), "pid"),
        tid="pid",
        handle=pl.col("pid").cast(pl.Int64),
    )


def seconds(action: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def report(what: str, taken: float, target: float | None = None) -> None:
    print(
        f"  {what:<46}{taken * 1e3:>10.1f} ms" + (f"   (≤ {target * 1e3:.0f})" if target else ""), flush=True
    )


def peak(what: str, target: int | None = None) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {what:<46}{used:>10,.0f} MiB" + (f"  (≤ {target:,})" if target else ""), flush=True)


def windows(index: Index, size: int, **who: object) -> float:
    random = np.random.default_rng(2)
    widths = size / np.logspace(0, 4, 12)
    cuts = [(at := int(random.integers(0, size - int(w) + 1)), at + int(w), 4096) for w in widths]
    return max(seconds(lambda cut=cut: index.bins(cut, **who), 3) for cut in cuts)


def measure(frame: pl.DataFrame, size: int) -> None:
    extents = frame.select("start", "end")
    report("merge", seconds(lambda: ranges.merge(extents), 3), 1)
    report("gaps (merge and complement)", seconds(lambda: ranges.complement(extents, size), 3), 1)
    gc.collect()
    began = time.perf_counter()
    index = Index.build(frame)
    report("index", time.perf_counter() - began, 3)
    report("any window into 4,096 bins (slowest of 12)", windows(index, size), 0.01)
    report("64 x 64 grid of the whole file", seconds(lambda: index.bins(square_edges(size, 64))), 0.01)
    pairs = [(100 + k, f"parser{100 + k}") for k in range(PROCESSES)]
    one = iter(pairs)
    report(
        "another process (1 of 8)", seconds(lambda: index.bins((0, size, 4096), processes=[next(one)])), 0.3
    )
    report("the same process, another window", windows(index, size, processes=pairs[4:5]), 0.01)
    later = frame.tail(1000).with_columns(pl.col("seq") + len(frame))
    report("1,000 extents more", seconds(lambda: index.extend(later), 20))
    report("window after that", seconds(lambda: index.bins((0, size, 4096))))
    peak("peak memory so far, the frame included", 2048)
    report(
        "all processes but one (7 of 8)", seconds(lambda: index.bins((0, size, 4096), processes=pairs[1:]), 1)
    )
    peak("peak memory with that filter remembered")


def main() -> None:
    count = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    names = list(PATTERNS)
    for name in [names[int(sys.argv[2])]] if len(sys.argv) > 2 else names:
        size, longest, sequential = PATTERNS[name]
        frame = events(count, size, longest, sequential=sequential)
        print(f"{name}: {count:,} extents, the frame {frame.estimated_size('mb'):,.0f} MiB")
        measure(frame, size)


if __name__ == "__main__":
    main()
