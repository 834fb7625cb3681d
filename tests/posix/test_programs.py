"""Scripts of everyday programs on a plain directory and on the mount: the same status, the same words, the same tree.

The scripts stand in `programs/`, and begin with the functions of `programs/lay`. What a script leaves in contents may hold no time and no
number but its own, so what goes into an archive is dated by `touch` before, and what git does by its environment.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from probe import Probe

if TYPE_CHECKING:
    from sides import Side

pytestmark = [
    pytest.mark.mount,
    pytest.mark.root("the scripts give files away"),
]

SCRIPTS = sorted((Path(__file__).parent / "programs").glob("*.sh"))
WITH_NUMBERS = "/index"  # git keeps inode numbers and times of change in there


def perform(script: Path, root: Path) -> list[str]:
    """Run a script in a new folder; give status, output and tree, one line of text each."""
    folder = root / script.stem
    folder.mkdir()
    probe = Probe(os.fsencode(folder))
    probe.begun -= 10**9  # programs that know whole seconds only
    done = subprocess.run(
        ["bash", "-c", f'source "{script.parent}/lay"; set -u; source "{script}"'],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800, check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC", "PYTHON": sys.executable, "TMPDIR": os.environ["TMPDIR"]},
    )  # fmt: skip
    found = [f"status {done.returncode}", *probe.show(done.stdout).splitlines()]
    found += [json.dumps(_without_numbers(entry)) for entry in probe.tree()]
    shutil.rmtree(folder)
    return found


def _without_numbers(entry: list[Any]) -> list[Any]:
    return entry[:-1] if entry[0].endswith(WITH_NUMBERS) else entry


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_programs_do_on_the_mount_what_they_do_on_the_directory(
    script: Path, plain: Side, exact: Side
) -> None:
    expected, found = perform(script, plain.root), perform(script, exact.root)
    difference = list(difflib.unified_diff(expected, found, "plain", "mount", lineterm="", n=1))
    assert not difference, "\n".join(line[:300] for line in difference[:60])
