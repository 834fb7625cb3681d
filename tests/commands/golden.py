"""Tables as they should look, at 80 and at 200 columns: `python tests/commands/golden.py` writes them anew, to be looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl

from fmrw.analysis import gaps
from fmrw.commands import file_tables, tables
from fmrw.commands.table import Table
from fmrw.recording.doctor import Finding
from fmrw.session.sources import FrameSource
from fmrw.session.trace import Trace
from fmrw.trace import schema

FOLDER = Path(__file__).parent / "golden"
WIDTHS = (80, 200)
SIZE = 45_565
EVIL = "\x1b[31m<script>alert(1)</script>\u202egnp.exe"
SENTENCE = "a second format, ZIP, begins at 0x4444: entry hidden.txt, entry noise.bin, entry numbers.csv, never read; the ZIP's central directory was"


def recording(*done: tuple[str, str, int, int]) -> Trace:
    """Make a recording of (program, path, start, end) in that order."""
    rows = [
        {
            "seq": seq, "time": 1_700_000_000_000_000 + seq, "op": "read", "path": path, "call": seq, "start": start, "end": end,
            "requested": end - start, "size": SIZE, "fidelity": "byte", "handle": 1, "pid": 100 + sum(program.encode()) % 900, "tid": 1,
            "process": program, "errno": 0, "thread": program,
        }
        for seq, (program, path, start, end) in enumerate(done)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema={**schema.EVENTS, "time": pl.Int64()})
    frame = frame.with_columns(pl.col("time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    known = [
        {"pid": pid, "tid": pid, "ppid": 1, "name": name, "exe": f"/usr/bin/{name}", "cmdline": f"{name} -l a/long/command/line/of/the/program/{name}/polyglot.pdf"}
        for pid, name in frame.select("pid", "process").unique(maintain_order=True).rows()
    ]  # fmt: skip
    return Trace(FrameSource(frame, pl.DataFrame(known).pipe(_as_processes), {}))


def _as_processes(known: pl.DataFrame) -> pl.DataFrame:
    missing = [
        pl.lit(None, kind).alias(name) for name, kind in schema.PROCESSES.items() if name not in known.columns
    ]
    return known.with_columns(missing).select(
        pl.col(name).cast(kind) for name, kind in schema.PROCESSES.items()
    )


def polyglot() -> Trace:
    return recording(
        ("pdftotext", "polyglot.pdf", 0, 17_166), ("pdftotext", "polyglot.pdf", 44_541, SIZE), ("unzip", "polyglot.pdf", 40_960, SIZE),
        ("7z", "polyglot.pdf", 0, SIZE), ("7z", "sub/notes.tar.gz", 0, 512),
    )  # fmt: skip


def many() -> Trace:
    programs, files = (
        ("file", "unzip", "7z", "bsdtar"),
        [f"samples/archive-number-{n:02}.zip" for n in range(10)],
    )
    return recording(
        *(
            (program, path, 0, SIZE if program == "file" else 1000 * (n + 1))
            for n, path in enumerate(files)
            for program in programs
        )
    )


def found(**other: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a report holds
    told = {
        "path": "polyglot.pdf",
        "size": SIZE,
        "fidelity": "byte",
        "smallest_request": 512,
        "read_bytes": 4605,
    }
    return {**told, "read": [[40_960, SIZE]], "written": [], "gaps": [[0, 40_960]], **other}


def gap_report() -> pl.DataFrame:
    row = dict.fromkeys(gaps.REPORT.names()) | {
        "rank": 1, "start": 0, "end": 40_960, "length": 40_960, "share": 40_960 / SIZE, "byte_class": "mixed", "entropy": 6.754,
        "verdict": SENTENCE,
    }  # fmt: skip
    report = pl.DataFrame([row, {**row, "rank": 2, "verdict": "zeros, padding"}], schema=gaps.REPORT)
    return report.with_columns(last_read_by=pl.lit(None, pl.String()))


def status() -> list[dict[str, Any]]:
    row = {"root": "/home/somebody/research/samples", "state": "monitoring", "capture": "exact", "events": 12_345, "lost": 0, "faults": 0,
           "worker": 4711, "session": "/home/somebody/.local/state/fmrw/samples-20261128T225000"}  # fmt: skip
    return [row, {"root": "/srv/x", "state": "dead", "worker": None, "session": None}]


def parts() -> dict[str, list[Any]]:
    """Give what is shown, by name."""
    trace, one = polyglot(), recording(("unzip", "polyglot.pdf", 40_960, SIZE))
    findings = [
        Finding("Python", "3.11.7"),
        Finding("compiled transfers", "not built; all works, small reads take longer", "sudo apt-get install gcc libc6-dev && /a/long/path/to/bin/python -m fmrw.capture.native.build", fatal=False),
    ]  # fmt: skip
    return {
        "one-program": tables.trace_tables(one),
        "programs": tables.trace_tables(trace),
        "many-files": tables.trace_tables(many()),
        "nothing": tables.trace_tables(recording()),
        "hostile": tables.trace_tables(recording((EVIL, EVIL, 0, 100), ("unzip", EVIL, 0, SIZE))),
        "gaps": [file_tables.gaps_table(gap_report(), found())],
        "coverage": file_tables.coverage_tables(found(), trace.by_program("polyglot.pdf"), trace.programs),
        "findings": [tables.findings_table([("polyglot.pdf", gap_report().row(0, named=True))])],
        "status": [tables.status_table(status())],
        "doctor": [tables.doctor_table(findings)],
    }


def text(shown: list[Any], width: int) -> str:
    said = [part.text(width) if isinstance(part, Table) else f"{part}\n" for part in shown]
    return "".join(said)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, shown in parts().items():
        for width in WIDTHS:
            (FOLDER / f"{name}-{width}.txt").write_text(text(shown, width))
    sys.exit(0)
