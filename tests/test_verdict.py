from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SKIPPED = "import pytest\n@pytest.mark.skipif(True, reason={!r})\ndef test_nothing(): pass\ndef test_passes(): pass\n"
ABSENT = "import pytest\npytest.importorskip('nonesuch')\n"
ROOTS = "import os, pytest\nos.geteuid = lambda: {}\n@pytest.mark.root('two users are needed')\ndef test_nothing(): pass\n"
RECORDING = """
import pytest
@pytest.mark.soak
@pytest.mark.parametrize("number", [1, 2])
def test_long(number): pass
@pytest.mark.soak
def test_counts(record_property): record_property("events", 1234567)
def test_fails(record_property):
    record_property("seed", 99)
    raise AssertionError
def test_short(record_property): record_property("other", 1)
"""


def run(folder: Path, code: str, *options: str, ci: str = "") -> tuple[int, str]:
    """Run pytest with this verdict over a piece of code; give its status and what it said."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n soak\n root(reason)\n")
    (folder / "test_it.py").write_text(code)
    own = {"PYTHONPATH": str(HERE), "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "verdict", "-p", "no:cacheprovider", *options],
        capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, **own},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("code", [SKIPPED.format("no chromium"), ABSENT], ids=["a test", "a module"])
def test_what_is_skipped_fails_where_nobody_reads_why(tmp_path: Path, code: str) -> None:
    status, said = run(tmp_path, code, ci="true")
    assert status != pytest.ExitCode.OK
    assert "skipped, which is a failure where CI is set" in said


@pytest.mark.parametrize(("reason", "ci"), [("no chromium", ""), ("needs root", "true")])
def test_what_nothing_can_be_done_about_is_skipped(tmp_path: Path, reason: str, ci: str) -> None:
    assert run(tmp_path, SKIPPED.format(reason), ci=ci)[0] == pytest.ExitCode.OK


@pytest.mark.parametrize(("user", "says"), [(0, "1 passed"), (1000, "needs root: two users are needed")])
def test_what_only_root_may_do_is_left_to_root(tmp_path: Path, user: int, says: str) -> None:
    status, said = run(tmp_path, ROOTS.format(user), "-rs", ci="true")
    assert status == pytest.ExitCode.OK
    assert says in said


def test_figures_stand_at_the_end(tmp_path: Path) -> None:
    status, said = run(tmp_path, RECORDING, "--soak")
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "test_it.py::test_long: 2 tests, 0 s" in said
    assert "test_it.py::test_counts: 0 s · events 1,234,567" in said
    assert "test_it.py::test_fails: 0 s · seed 99" in said
    assert "other" not in said


def test_long_tests_are_left_out(tmp_path: Path) -> None:
    said = run(tmp_path, RECORDING)[1]
    assert "3 deselected" in said
    assert "test_fails: 0 s · seed 99" in said
