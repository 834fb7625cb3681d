from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from debian import Debian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
RELEASES = ("bookworm", "trixie")
SOME = "tests/recording tests/capture/test_oracle.py tests/setup"
BROKEN = "import os\ndef answer( )->int: return 'no'\n"  # for the linter, the formatter and the types each
FAILED = [
    "ruff check: FAILED with status 1",
    "ruff format: FAILED with status 1",
    "mypy: FAILED with status 1",
]
PASSED = ["ruff check: passed", "ruff format: passed", "mypy: passed", "tests: passed"]

pytestmark = [pytest.mark.soak, pytest.mark.root("it enters a system of its own")]


@pytest.fixture(params=RELEASES)
def debian(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Debian]:
    """A bare release, with a clone of the last commit in /fmrw."""
    made = Debian(tmp_path / request.param, request.param)
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", ROOT, made.root / "fmrw"], check=True)
    yield made
    made.remove()


def test_both_commands_work_on_a_bare_system(
    debian: Debian, record_property: Callable[[str, object], None]
) -> None:
    for name, command in (("demo", "bash notebooks/demo"), ("tests", f"bash tests/run {SOME}")):
        begin = time.monotonic()
        done = debian.run(f"cd /fmrw; {command}")
        assert done.returncode == 0, done.stdout
        record_property(f"{name}, seconds", round(time.monotonic() - begin))
        assert debian.processes() == []
    assert done.stdout.splitlines()[-4:] == PASSED
    assert list((debian.root / "fmrw/notebooks/rendered").glob("*.html")) != []
    assert _unlocked(debian) == set()

    (debian.root / "fmrw/fmrw/broken.py").write_text(BROKEN)
    done = debian.run("cd /fmrw; bash tests/run tests/test_offsets.py")
    assert (done.returncode, done.stdout.splitlines()[-4:]) == (1, [*FAILED, "tests: passed"])


def _unlocked(debian: Debian) -> set[str]:
    """Find what is installed in another version than the one that was tested."""
    done = debian.run(
        "cd /fmrw; .venv/bin/python -m pip list --format freeze --exclude-editable --exclude pip --exclude setuptools"
    )
    number = debian.run("""python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])'""").stdout.strip()
    locked = (debian.root / f"fmrw/tests/locks/python{number}.txt").read_text().splitlines()
    return {_plain(line) for line in done.stdout.splitlines()} - {_plain(line) for line in locked}


def _plain(line: str) -> str:
    return line.lower().replace("_", "-").replace(".", "-")
