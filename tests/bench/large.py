"""Speed and memory of questions to a session of a hundred million events, beside a plain polars query for the same ranges.

    python tests/bench/large.py                              # makes 100 million events, asks, removes them
    python tests/bench/large.py --events 10e6 --keep DIR     # ten million, kept in DIR and taken from there the next time
    python tests/bench/large.py --burst 1                    # from event to event another file, instead of 4,096 at a time

Fifty files are read and written by eight processes. Every question is asked in a process of its own, three times; the median of its time
from the question to the answer (imports not counted) and its largest resident memory are printed, both also against the plain query.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.trace import schema, store

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES, PROCESSES, BATCH = 50, 8, 1 << 18
SIZE = 1 << 33

ASK = """
import re, sys, time
import polars as pl
import fmrw, fmrw.analysis.gaps
from pathlib import Path
session, path, what = sys.argv[1:]
fmrw.load, fmrw.Trace
begun = time.perf_counter()
if what == "plain":
    rows = pl.scan_parquet(Path(session) / "events.parquet").filter(pl.col("path") == path, pl.col("op") == "read").select("start", "end")
    fmrw.analysis.ranges.merge(rows.collect(engine="streaming"))
else:
    trace = fmrw.load(session)
    {"coverage": lambda: trace.coverage_report(path), "gaps": lambda: trace.gap_report(path), "files": lambda: trace.files}[what]()
took = time.perf_counter() - begun
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())  # ru_maxrss would be that of who started it
print(took, int(peak[1]) / 2**20)
"""


def batches(count: int, burst: int) -> Iterator[pl.DataFrame]:
    """Make events: each file is read from its beginning on in pieces of 4 KiB, one of 256 anywhere; one of 256 is a write."""
    random = np.random.default_rng(1)
    yield schema.empty()
    for base in range(0, count, BATCH):
        seq = np.arange(base, min(base + BATCH, count))
        turn, within = seq // burst, seq % burst
        file, number = turn % FILES, turn // FILES * burst + within
        strayed = random.integers(0, 256, len(seq)) == 0
        place = np.where(strayed, random.integers(0, SIZE >> 12, len(seq)), number % (SIZE >> 12)) * 4096
        length = 4096
        process = (turn // FILES) % PROCESSES
        yield pl.DataFrame(
            {"seq": seq, "start": place, "end": place + length, "file": file, "process": process}
        ).select(_columns())


def _columns() -> list[pl.Expr]:
    process = pl.col("process")
    made = {
        "time": (pl.col("seq") * 20 + 1_700_000_000_000_000).cast(schema.EVENTS["time"]),
        "op": pl.when(pl.col("seq") % 256 > 0).then(pl.lit("read")).otherwise(pl.lit("write")),
        "path": pl.format("folder/file-{}.bin", "file"),
        "call": pl.col("seq"),
        "requested": pl.lit(4096),
        "size": pl.lit(SIZE),
        "fidelity": pl.lit("byte"),
        "handle": pl.col("file") + 1,
        "pid": process + 100,
        "tid": process + 100,
        "process": pl.format("parser{}", process),
        "thread": pl.format("parser{}", process),
        "errno": pl.lit(0),
        "site": pl.lit(None),
    }
    return [made.get(name, pl.col(name)).cast(kind).alias(name) for name, kind in schema.EVENTS.items()]


def make(folder: Path, count: int, burst: int) -> None:
    store.create(folder, {"root": "/nowhere"})
    bound = store.write_events(folder / store.EVENTS, batches(count, burst), folder)
    store.write_processes(folder, pl.DataFrame(schema=schema.PROCESSES))
    store.write_facts(folder, {**store.read_facts(folder), **bound})


def without_table(session: Path) -> Path:
    """Give the same session as it was sealed before there were tables of ranges."""
    bare = session.with_name(f"{session.name}-bare")
    if not bare.exists():
        store.create(bare, {"root": "/nowhere"})
        for name in (store.EVENTS, store.PROCESSES):
            os.link(session / name, bare / name)
    return bare


def ask(session: Path, what: str) -> tuple[float, float]:
    """Give seconds and GiB."""
    answers = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", ASK, session, "folder/file-7.bin", what],
            check=True,
            capture_output=True,
            text=True,
        )
        answers.append(tuple(map(float, done.stdout.split())))
    return statistics.median(took for took, _ in answers), max(peak for _, peak in answers)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=float, default=100e6)
    parser.add_argument("--burst", type=int, default=4096)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--ask", default="coverage,gaps,files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fmrw-bench-") as temporary:
        session = arguments.keep or Path(temporary) / "session"
        if not (session / store.EVENTS).exists():
            make(session, int(arguments.events), arguments.burst)
        print(
            f"{(session / store.EVENTS).stat().st_size / 2**20:,.0f} MiB of events, load {os.getloadavg()[0]:.1f}"
        )
        plain = ask(session, "plain")
        asked = [("plain", session, plain)]
        for what in arguments.ask.split(","):
            for name, folder in (("", without_table(session)), (", table", session)):
                asked.append((what + name, folder, ask(folder, what)))
        for name, _folder, (took, peak) in asked:
            print(
                f"  {name:<20}{took:>8.2f} s {peak:>6.2f} GiB {took / plain[0]:>7.1f} x {peak / plain[1]:>5.1f} x"
            )


if __name__ == "__main__":
    main()
