"""What sealing a big session costs in memory and time.

    python tests/bench/sealing.py                  # 20 million events
    python tests/bench/sealing.py --events 1000000

A journal of synthetic reads by four threads, one call in a hundred cut into pieces, is sealed in a process of its own, whose
resident memory is watched.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from fmrw.capture.recorder import journal as log
from fmrw.trace import store

SEAL = """
import resource, sys, time
from pathlib import Path
from fmrw.trace import store
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.monotonic()
store.seal(Path(sys.argv[1]))
print(time.monotonic() - begun, before / 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def synthetic(count: int, base: int) -> bytes:
    """Make records: 4 KiB reads in order by four threads; of every hundred calls one has three pieces."""
    place = np.arange(base, base + count)
    records = np.zeros(count, np.dtype([(name, f"<{code}") for name, code in log.FIELDS]))
    records["time_ns"] = 1_700_000_000_000_000_000 + place * 20_000
    records["start"], records["length"], records["requested"] = place * 4096, 4096, 4096
    records["size"], records["call"], records["tid"] = 1 << 40, place, place % 4
    piece = place % 300
    records["flags"][piece < 2] |= log.MORE
    records["flags"][(piece > 0) & (piece < 3)] |= log.CONTINUES
    records["call"][piece < 3] = place[piece < 3] // 300 * 300
    records["mark"] = log.MARK
    return records.tobytes()


def record(session: Path, events: int) -> None:
    store.create(session, {"root": "/"})
    (session / store.JOURNAL).mkdir()
    fd = os.open(session / store.JOURNAL, os.O_RDONLY)
    journal = log.Journal(fd)
    journal.note("path", id=0, text="file")
    journal.note("process", id=0, tid=1, pid=1, ppid=0, name="reader", exe="", cmdline="", first_seen_ns=1)
    journal.close()
    for number in range(-(-events // log.SEGMENT)):
        base = number * log.SEGMENT
        data = synthetic(min(log.SEGMENT, events - base), base)
        (session / store.JOURNAL / f"{number:06d}.events").write_bytes(data)
    os.close(fd)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fmrw-bench-") as folder:
        session = Path(folder) / "session"
        begun = time.monotonic()
        record(session, arguments.events)
        print(
            f"{arguments.events:,} records written in {time.monotonic() - begun:.1f} s, load {psutil.getloadavg()[0]:.1f}"
        )
        done = subprocess.run(
            [sys.executable, "-c", SEAL, session], check=True, capture_output=True, text=True
        )
        took, before, peak = map(float, done.stdout.split())
        rows = store.facts(session)["events"]
        size = (session / store.EVENTS).stat().st_size
        print(
            f"sealed in {took:.1f} s: {rows:,} events, {size / 2**20:.0f} MiB, {size / rows:.1f} bytes an event"
        )
        print(f"resident: {before:.0f} MiB with nothing, {peak:.0f} MiB at most")


if __name__ == "__main__":
    main()
