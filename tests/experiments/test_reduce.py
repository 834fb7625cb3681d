"""The reducer: nothing is left but what the program needs, proved without fmrw."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from fmrw.cli.main import main
from fmrw.errors import BadInput
from fmrw.experiments.bench import Budget
from fmrw.experiments.reduce import reduce

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

SHOWS = ["sh", "-c", 'head -c 8 "$1" | tail -c 3; wc -c < "$1"', "sh", "{}"]


def test_what_is_needed_is_left_in_its_place(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    found = reduce(file, SHOWS, tmp_path / "small")
    assert found.kept == [(5, 8)]
    assert (tmp_path / "small").read_bytes() == bytes(5) + before[5:8] + bytes(len(before) - 8)
    assert (found.nonzero, found.reduced_size, found.proof, found.complete) == (3, len(before), 5, True)
    assert file.read_bytes() == before


def test_the_tail_is_cut_only_where_that_changes_nothing(file: Path, tmp_path: Path) -> None:
    assert reduce(file, SHOWS, tmp_path / "whole", cut=True).reduced_size == file.stat().st_size
    short = reduce(
        file,
        ["sh", "-c", 'head -c 8 "$1" | tail -c 3', "sh", "{}"],
        tmp_path / "short",
        cut=True,
        keep="output",
    )
    assert short.reduced_size == (tmp_path / "short").stat().st_size == 8


@pytest.mark.parametrize("keep", ["accesses", "output", "status"])
def test_a_real_archive_does_the_same_without_fmrw(tmp_path: Path, keep: str) -> None:
    path = tmp_path / "watched" / "a.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("first.txt", "second.txt"):
            archive.writestr(zipfile.ZipInfo(name), "some content " * 9)
    before = subprocess.run(["unzip", "-l", path], capture_output=True, check=True)
    found = reduce(path, ["unzip", "-l", "{}"], tmp_path / "small.zip", keep=keep)  # type: ignore[arg-type]
    shutil.copy(tmp_path / "small.zip", path)
    after = subprocess.run(["unzip", "-l", path], capture_output=True, check=True)
    assert after.returncode == 0
    assert keep == "status" or after.stdout == before.stdout
    content = path.read_bytes()
    assert found.nonzero == len(content) - content.count(0) < 70
    for at in [at for at, byte in enumerate(content) if byte]:
        path.write_bytes(content[:at] + b"\0" + content[at + 1 :])
        worse = subprocess.run(["unzip", "-l", path], capture_output=True, check=False)
        assert worse.returncode or (keep != "status" and worse.stdout != before.stdout), (
            f"{at:#x} is not needed"
        )


def test_what_harms_only_together_stays_once(tmp_path: Path) -> None:
    path = tmp_path / "watched" / "two"
    path.parent.mkdir()
    path.write_bytes(b"..A....A..")
    found = reduce(path, ["sh", "-c", 'grep -c A "$1"', "sh", "{}"], tmp_path / "small", keep="status")
    assert found.nonzero == 1
    assert (tmp_path / "small").read_bytes().count(b"A") == 1


def test_holes_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "watched" / "large"
    path.parent.mkdir()
    with path.open("wb") as made:
        made.write(b"needed")
        made.seek(5 << 30)
        made.write(b"end")
    found = reduce(path, ["head", "-c", "6", "{}"], tmp_path / "small", keep="output")
    assert found.kept == [(0, 6)]
    assert (tmp_path / "small").stat().st_size == path.stat().st_size
    assert (tmp_path / "small").stat().st_blocks < 100


def test_a_budget_leaves_more_and_is_proved_all_the_same(file: Path, tmp_path: Path) -> None:
    found = reduce(file, SHOWS, tmp_path / "small", budget=Budget(runs=7))
    assert not found.complete
    assert found.proof == 5
    content = (tmp_path / "small").read_bytes()
    assert content[5:8] == file.read_bytes()[5:8]


def test_nothing_is_overwritten(file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").write_text("mine")
    for target in (tmp_path / "there", file):
        with pytest.raises(BadInput, match="there already"):
            reduce(file, SHOWS, target)
    with pytest.raises(BadInput, match="choose another name"):
        reduce(file, SHOWS, tmp_path / "no folder" / "small")
    assert main(["reduce", str(file), "-o", str(tmp_path / "there"), "--", *SHOWS]) == 1
    assert capfd.readouterr().err.count("\n") == 1
    assert (tmp_path / "there").read_text() == "mine"


def test_the_command_says_what_is_left_and_the_proof(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["reduce", str(file), "-o", "small", "--", *SHOWS]) == 0
    out = capfd.readouterr().out
    assert "0x5-0x8" in out
    assert "proved by 5 runs" in out
    assert main(["reduce", str(file), "-o", "again", "--json", "--", *SHOWS]) == 0
    assert json.loads(capfd.readouterr().out)["kept"] == [[5, 8]]


def test_an_interrupt_says_that_nothing_is_written(
    file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fmrw.experiments.reduce.reduce", interrupted)
    assert main(["reduce", str(file), "-o", str(tmp_path / "small"), "--", *SHOWS]) == 130
    assert capfd.readouterr().err == (
        "fmrw: interrupted, and nothing is written; `--budget 30s` writes what is proved by then.\n"
    )
