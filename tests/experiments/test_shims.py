"""A shim of pyenv is not run: its program is."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from fmrw.experiments.probe import probe
from fmrw.experiments.shims import without_shim

HEAD = shutil.which("head") or "head"
SHIM = """#!/usr/bin/env bash
set -e
program="${{0##*/}}"
export PYENV_ROOT="{root}"
exec "{root}/libexec/pyenv" exec "$program" "$@"
"""
MANAGER = """#!/bin/sh
[ "$1 $2" = "which head" ] && echo {program}
"""


@pytest.fixture
def shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "a root"
    for name, text in (
        ("libexec/pyenv", MANAGER.format(program=HEAD)),
        ("shims/head", SHIM.format(root=root)),
        ("shims/other", SHIM.format(root=root)),
        ("bin/head", SHIM.format(root=root)),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{root}/shims", prepend=os.pathsep)
    return root / "shims" / "head"


def test_the_program_of_a_shim(shim: Path) -> None:
    assert without_shim(["head", "-c", "1"]) == [HEAD, "-c", "1"]
    assert without_shim([str(shim)])[0] == HEAD


def test_what_is_no_shim_keeps_its_path(shim: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    wrapper = shim.parents[1] / "bin" / "head"
    for program in (python, wrapper, tmp_path / "gone", Path("env")):
        assert without_shim([str(program), "x"]) == [str(program), "x"]


def test_a_shim_of_nothing_is_run_and_says_so_itself(shim: Path) -> None:
    assert without_shim([str(shim.parent / "other")]) == [str(shim.parent / "other")]


@pytest.mark.mount
@pytest.mark.root("mounts in a namespace of its own")
def test_a_probe_runs_the_program_and_says_so(shim: Path, file: Path) -> None:
    found = probe(file, ["head", "-c", "2", "{}"])
    assert found.complete
    assert found.command[0] == "head"
    assert {(each.start, each.kind) for each in found.map} == {(0, "content"), (2, "unread")}
    assert found.notes == [f"head is a shim; its program is run itself: {HEAD}."]
    assert shim.exists()
