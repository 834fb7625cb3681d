from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(script: str, folder: Path) -> tuple[int, str, list[str]]:
    """Run checks under the options of tests/run; give the status, what they said, and the verdict's lines."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"source {ROOT}/tests/checks.sh\n{script}"],
        cwd=folder, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)},
    )  # fmt: skip
    said, _, verdict = done.stdout.partition("\n=== checks ===\n")
    return done.returncode, said, verdict.splitlines()


def test_what_passes_is_told(tmp_path: Path) -> None:
    script = "check types true; check 'the tests' echo 3 passed; verdict types 'the tests'"
    assert run(script, tmp_path) == (0, "3 passed\n", ["types: passed", "the tests: passed"])


def test_a_failure_hides_no_other_check(tmp_path: Path) -> None:
    script = (
        "check lint false; check types bash -c 'exit 3'; check tests echo 3 passed; verdict lint types tests"
    )
    told = ["lint: FAILED with status 1", "types: FAILED with status 3", "tests: passed"]
    assert run(script, tmp_path) == (1, "3 passed\n", told)


def test_a_failure_beside_others_is_told(tmp_path: Path) -> None:
    script = "check types false & check tests true; wait; verdict types tests"
    assert run(script, tmp_path) == (1, "", ["types: FAILED with status 1", "tests: passed"])


def test_a_check_that_never_ended_is_no_pass(tmp_path: Path) -> None:
    script = "(check types true; kill -9 $BASHPID; check more true) || true; check tests true; verdict types more tests"
    assert run(script, tmp_path) == (1, "", ["types: passed", "more: DID NOT END", "tests: passed"])


def test_a_name_that_begins_as_another_does_not_speak_for_it(tmp_path: Path) -> None:
    script = "check 'tests, the other half' true; check tests false; verdict 'tests, the other half' tests"
    told = ["tests, the other half: passed", "tests: FAILED with status 1"]
    assert run(script, tmp_path) == (1, "", told)
