"""The public promise, and what it costs to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fmrw

NAMES = [
    "FmrwError",
    "Mount",
    "Run",
    "Trace",
    "browse",
    "coverage",
    "diff",
    "doctor",
    "explore",
    "export_perfetto",
    "gaps",
    "load",
    "mount",
    "report",
    "run",
    "status",
    "unmount",
    "view",
]
HEAVY = ("polars", "altair", "vl_convert", "numpy", "IPython")


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
        [sys.executable, "-c", f"{code}\nimport sys; sys.exit(','.join(set({HEAVY}) & sys.modules.keys()) or 0)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not found.stderr
    assert found.returncode == 0
