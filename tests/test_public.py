"""The public promise, and what it costs to import."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import fmrw

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    "FmrwError",
    "Mount",
    "Run",
    "Runs",
    "Survey",
    "Trace",
    "browse",
    "coverage",
    "diff",
    "doctor",
    "explore",
    "export_perfetto",
    "files",
    "gaps",
    "load",
    "mount",
    "preset",
    "probe",
    "probe_both",
    "reduce",
    "report",
    "run",
    "samples",
    "sessions",
    "sites",
    "status",
    "survey",
    "unmount",
    "view",
]
DRAWING = (
    "altair",
    "vl_convert",
    "pikepdf",
    "PIL",
    "pycdlib",
    "elftools",
    "pypdf",
    "IPython",
    "ipywidgets",
    "anywidget",
)
HEAVY = ("polars", "numpy", *DRAWING)


def test_the_names() -> None:
    assert [name for name in fmrw.__all__ if not name.startswith("__")] == NAMES
    for name in NAMES:
        assert getattr(fmrw, name).__doc__
    with pytest.raises(AttributeError, match="nonesuch"):
        fmrw.nonesuch  # noqa: B018 - the access is the test


@pytest.mark.parametrize(
    "code",
    [
        "import fmrw",
        "import fmrw.commands.families",
        "from fmrw.cli.main import main; main(['--help'])",
        "from fmrw.cli.main import main; main(['run', '--help'])",
        "import fmrw.capture.worker.serve, fmrw.capture.reports.files, fmrw.capture.reports.helper",
    ],
)
def test_what_must_start_quickly_imports_nothing_heavy(code: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; sys.exit(','.join({{*{HEAVY}, 'rich'}} & sys.modules.keys()) or 0)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not found.stderr
    assert found.returncode == 0


def test_a_worker_and_a_run_import_little() -> None:
    code = "import fmrw.recording.run, fmrw.capture.fuse.adapter, fmrw.capture.reports.files, sys; print({'psutil', 'importlib.metadata'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def imported(names: tuple[str, ...], *arguments: object) -> set[str]:
    """Give which of some modules the command line has imported when it has done something."""
    program = f"import sys; from fmrw.cli.main import main; main({[*map(str, arguments)]!r}); "
    told = f"sys.stderr.write('\\nimported ' + ' '.join(name for name in {names!r} if sys.modules.get(name)))"
    done = subprocess.run(
        [sys.executable, "-c", program + told], capture_output=True, text=True, errors="replace", check=True
    )
    word, *found = done.stderr.rpartition("\n")[2].split()
    assert word == "imported"
    return set(found)


def test_commands_import_what_they_need(tmp_path: Path) -> None:
    folder, session = tmp_path / "watched", tmp_path / "session"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    assert imported(HEAVY, "mount", folder, "-o", tmp_path / "mounted") == set()
    assert imported(DRAWING, "status") == set()
    assert imported(HEAVY, "unmount", folder) == set()
    assert imported(HEAVY, "doctor") == set()
    kept = ("run", folder, "-o", session, "--no-reports", "--", "cat", folder / "file")
    assert imported(HEAVY, *kept) == {"polars"}, "a table is shown"
    drawn = ("run", folder, "-o", tmp_path / "drawn", "--", "cat", folder / "file")
    assert imported(HEAVY, *drawn) == {"polars", "numpy", "vl_convert"}, "another process draws"
    assert (tmp_path / "drawn" / "file-heatmap.pdf").exists()
    assert set(fmrw.load(tmp_path / "drawn").events["process"]) == {"cat"}, "and is not recorded"
    own = ("report", session, "file", "-o", tmp_path / "again", "--format")
    assert imported(("altair", "PIL"), *own, "csv,pdf,svg,html") == set(), "a heatmap is drawn without them"
    assert len([*(tmp_path / "again").iterdir()]) == 4
    assert imported(HEAVY, "coverage", session, "file", "--json") == {"polars"}
    assert imported(("polars", *DRAWING), "gaps", session, "file") == {"polars"}


def test_a_run_imports_numpy_without_threads_and_what_it_runs_knows_nothing_of_that(tmp_path: Path) -> None:
    (tmp_path / "watched").mkdir()
    (tmp_path / "watched" / "file").write_bytes(b"content")
    program = """if True:
        import os, sys
        from fmrw.cli.main import main

        class Look:
            def find_spec(self, name, path=None, target=None):
                if name.startswith("numpy.") and name.endswith("._multiarray_umath"):  # which loads OpenBLAS
                    print("numpy", os.environ.get("OPENBLAS_NUM_THREADS"), file=sys.stderr)

        sys.meta_path.insert(0, Look())
        sys.exit(main(sys.argv[1:]) or "OPENBLAS_NUM_THREADS" in os.environ)
    """
    command = ["sh", "-c", "cat file; echo program ${OPENBLAS_NUM_THREADS-none} >&2"]
    done = subprocess.run(
        [sys.executable, "-c", program, "run", ".", "-o", tmp_path / "session", "--", *command],
        capture_output=True, text=True, check=True, cwd=tmp_path / "watched",
        env={name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"},
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if line.startswith(("program", "numpy"))]
    assert told == ["program none", "numpy 1"]
