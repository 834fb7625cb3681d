"""The explorer's side of the kernel on a recording of ten million accesses.

    taskset -c 1 python tests/bench/explorer.py [MILLIONS]

Prints how long it takes until an explorer is on its way to the browser, what a step of zooming costs the kernel, and how many bytes
it sends. Medians and the slowest of the steps; what the browser adds is measured by `tests/bench/browser.py`.
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.explorer.browse import browse
from fmrw.explorer.explorer import Explorer, explore
from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 1 << 36
PROCESSES = 8
STEPS = 40
FILES, ACCESSES = 10_000, 30


def recording(count: int) -> Trace:
    """Make reads of up to 5,000 bytes all over 64 GiB, one in ten a write, by eight processes."""
    random = np.random.default_rng(1)
    start = random.integers(0, SIZE - 5_000, count)
    pid = random.integers(100, 100 + PROCESSES, count)
    frame = pl.DataFrame(
        {
            "seq": np.arange(count), "start": start, "end": start + random.integers(1, 5_000, count),
            "pid": pid.astype(np.int32), "write": random.random(count) < 0.1,
        }
    )  # fmt: skip
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    full = frame.select(
        "seq", pl.lit(begin).alias("time") + pl.duration(microseconds=pl.col("seq")),
        pl.when("write").then(pl.lit("write")).otherwise(pl.lit("read")).cast(schema.EVENTS["op"]).alias("op"),
        pl.lit("big.bin").alias("path"), pl.col("seq").alias("call"), "start", "end",
        (pl.col("end") - pl.col("start")).alias("requested"), pl.lit(SIZE, pl.Int64).alias("size"),
        pl.lit("byte").cast(schema.EVENTS["fidelity"]).alias("fidelity"), pl.col("pid").cast(pl.Int64).alias("handle"),
        "pid", pl.col("pid").alias("tid"), pl.format("parser{}", "pid").alias("process"), pl.lit(0, pl.Int32).alias("errno"),
        pl.format("parser{}", "pid").alias("thread"),
    )  # fmt: skip
    rest = [pl.lit(None).alias(name) for name in schema.EVENTS if name not in full.columns]
    events = full.with_columns(rest).select(list(schema.EVENTS)).cast(schema.EVENTS)  # type: ignore[arg-type] # a schema
    pids = range(100, 100 + PROCESSES)
    rows = [
        dict.fromkeys(schema.PROCESSES) | {"pid": pid, "tid": pid, "name": f"parser{pid}"} for pid in pids
    ]
    return Trace(FrameSource(events, pl.DataFrame(rows, schema=schema.PROCESSES), {"root": "/nowhere"}))


def many_files(count: int) -> Trace:
    """Make `ACCESSES` reads or writes of each of many files, all files at once."""
    made = recording(count * ACCESSES)
    named = pl.format("folder{}/file{}.bin", pl.col("seq") % 100, pl.col("seq") % count).alias("path")
    return Trace(FrameSource(made.lazy.collect().with_columns(named), made.processes, made.facts))


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def report(what: str, value: float, unit: str, target: float | None = None) -> None:
    goal = f"   (at most {target:,.0f})" if target else ""
    print(f"  {what:<58}{value:>10,.1f} {unit}{goal}", flush=True)


def windows() -> list[tuple[int, int]]:
    """Choose windows of every length, as somebody who zooms sees them."""
    random = np.random.default_rng(2)
    lengths = (SIZE / np.logspace(0, 8, STEPS)).astype(np.int64)
    return [(at := int(random.integers(0, SIZE - n + 1)), at + int(n)) for n in lengths]


def steps(view: Explorer, what: str) -> None:
    taken, sent = [], []
    for window in windows():
        taken.append(seconds(lambda window=window: setattr(view, "window", window)) * 1e3)  # type: ignore[misc] # bound now
        sent.append(len(view.scene.canvas.message) / 1e3)
        if view.problem:
            raise SystemExit(view.problem)
    report(f"{what}, median", statistics.median(taken), "ms", 100)
    report(f"{what}, slowest of {STEPS}", max(taken), "ms")
    report(f"{what}, most sent", max(sent), "kB", 300)


def main() -> None:
    count = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10_000_000
    trace = recording(count)
    print(f"{count:,} accesses of a file of {SIZE:,} bytes")
    made: list[Explorer] = []
    report("explore()", seconds(lambda: made.append(explore(trace, "big.bin"))), "s", 3)
    view = made[0]
    report("its widgets", seconds(lambda: view.widget), "s")
    report("the picture a saved notebook keeps", seconds(view._repr_mimebundle_), "s")
    files = many_files(FILES)
    report(f"browse() of {FILES:,} files", seconds(lambda: browse(files).widget), "s", 2)
    steps(view, "a step")
    report("first step of one process of eight", seconds(lambda: setattr(view, "processes", 103)) * 1e3, "ms")
    steps(view, "a step of one process")
    view.processes = None
    report("next gap, the first time", seconds(view.next_gap) * 1e3, "ms")
    report("next gap, again", seconds(view.next_gap) * 1e3, "ms")
    view.whole()
    box = view.scene.layout.stack
    hover = {"hover": [box.left + 50, box.top + 50]}
    report("hovering over the whole file", seconds(lambda: view.gestures.take(hover)) * 1e3, "ms")


if __name__ == "__main__":
    main()
