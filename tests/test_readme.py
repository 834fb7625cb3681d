"""The README is true: its blocks run, its commands exist, and no command is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fmrw.commands.families import grammar

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def shell_lines(title: str) -> list[str]:
    indented = [line[4:] for line in section(title).splitlines() if line.startswith("    ")]
    return [line.split("   #", 1)[0].strip() for line in indented]


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder the README speaks of: a disc image and an archive."""
    folder = tmp_path / "samples"
    folder.mkdir()
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-o", folder / "debian.iso", ROOT / "data"]
    subprocess.run(make, check=True, capture_output=True)
    shutil.copy(ROOT / "data" / "cavity.zip", folder / "a.zip")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return folder


def test_every_command_is_there() -> None:
    used = {
        name
        for name in re.findall(r"`?(?<![\w-])fmrw ([a-z]+)", README)
        if name not in {"shows", "looks", "names"}
    }
    assert set(grammar.commands) <= used | {"view"}
    assert {
        name for name in used if name in grammar.commands or f"fmrw {name} " in section("In a shell")
    } <= set(grammar.commands)


@pytest.mark.mount
def test_the_shell_block_runs(samples: Path) -> None:
    lines = [*shell_lines("In a shell"), "fmrw unmount samples"]
    lines[lines.index("fmrw doctor")] += " || true"  # it looks at the mounts of everybody on this machine
    done = subprocess.run(
        ["bash", "-ex", "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "libfuse 2" in done.stdout
    assert (samples.parent / "debian.iso-heatmap.pdf").read_bytes().startswith(b"%PDF")
    assert (samples.parent / "out" / "debian.iso.csv").exists()


@pytest.mark.mount
def test_the_notebook_block_runs(samples: Path) -> None:
    block = re.search(r"```python\n(.*?)```", section("In a notebook"), re.DOTALL)
    assert block is not None
    script = samples.parent / "block.ipy"
    script.write_text(textwrap.dedent(block[1]))
    environment = {**os.environ, "IPYTHONDIR": str(samples.parent / "ipython")}
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--colors=NoColor", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stdout + done.stderr


def test_files_that_are_shown_exist() -> None:
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target
