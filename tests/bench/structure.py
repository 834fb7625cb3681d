"""Speed and memory of `structure()` on files of very many parts, each in a process of its own.

    python tests/bench/structure.py [FORMAT]

Prints CPU time, parts and the peak of memory; wanted are 1.5 s of CPU for 100,000 entries of a ZIP, a tar or a PDF.
"""

from __future__ import annotations

import io
import resource
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from fmrw.analysis.structure import structure

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 100_000
TARGET_S = 1.5


def zip_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(COUNT):
            archive.writestr(f"some/folder/file{number:06}.txt", b"x" * 100)


def tar_file(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for number in range(COUNT):
            member = tarfile.TarInfo(f"some/folder/file{number:06}.txt")
            member.size = 100
            archive.addfile(member, io.BytesIO(b"x" * 100))


def pdf_file(path: Path, *, table: bool = True) -> None:
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number in range(1, COUNT + 1):
        offsets.append(len(out))
        body = b"<</Length 5>>stream\nBT ET\nendstream" if number % 2 else b"<</Type/Page/A[1 2 3]>>"
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    place = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (COUNT + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\n" % (COUNT + 1)
    path.write_bytes(out + b"startxref\n%d\n%%%%EOF\n" % place if table else out)


def database(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.executescript("pragma page_size=1024; create table t(a, b); create index i on t(b)")
        base.executemany("insert into t values(?, ?)", ((n, f"{'x' * 60}{n}") for n in range(6 * COUNT)))
    base.close()


MADE: dict[str, Callable[[Path], None]] = {
    "ZIP": zip_file,
    "tar": tar_file,
    "PDF": pdf_file,
    "PDF without table": lambda path: pdf_file(path, table=False),
    "SQLite, 100,000 pages": database,
}


def measure(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample"
        MADE[name](path)
        structure(sys.executable)  # what is imported and started once is not the file's
        began = time.process_time()
        frame = structure(path)
        taken = time.process_time() - began
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"  {name:<24}{taken:>8.2f} s  (≤ {TARGET_S}){frame.height:>12,} parts{used:>10,.0f} MiB", flush=True
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        for each in MADE:
            subprocess.run([sys.executable, __file__, each], check=True)
