"""Kept sessions: bounded, named, and never somebody else's."""

from __future__ import annotations

import gc
import json
import os
import shutil
from pathlib import Path

import pytest

import fmrw
from fmrw.cli.main import main
from fmrw.errors import SessionError
from fmrw.trace import folder, kept
from fmrw.trace.kept import BOUNDED


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "fmrw"


def made(state: Path, name: str, *, bounded: bool = True, size: int = 1000, started: str = "") -> Path:
    session = state / name
    folder.create(
        session, {BOUNDED: bounded, "root": "/srv/data", **({"started": started} if started else {})}
    )
    (session / "worker.log").write_bytes(b"x" * size)
    return session


def several(state: Path, number: int) -> list[Path]:
    return [made(state, f"s{day}", started=f"2026-01-0{day + 1}T00:00:00+00:00") for day in range(number)]


def names(state: Path) -> set[str]:
    return {path.name for path in state.iterdir()}


def test_no_more_than_so_many_are_left_the_newest(state: Path) -> None:
    several(state, 5)
    assert sorted(path.name for path in kept.prune(most=2)) == ["s0", "s1", "s2"]
    assert names(state) == {"s3", "s4"}


def test_no_more_than_so_many_bytes_are_left(state: Path) -> None:
    several(state, 4)
    size = kept.sessions()[0].size
    kept.prune(most_bytes=2 * size)
    assert names(state) == {"s2", "s3"}


def test_what_is_used_stays_until_it_is_not(state: Path) -> None:
    session = made(state, "used")

    class User:
        pass

    user = User()
    kept.use(session, user)
    assert [each.in_use for each in kept.sessions()] == [True]
    assert kept.prune(most=0) == []
    with pytest.raises(SessionError, match=r"in use.*first\.$"):
        kept.remove("used")
    with pytest.raises(SessionError, match=r"in use.*first\.$"):
        kept.rename("used", "other")
    del user
    gc.collect()
    assert kept.prune(most=0) == [session]


def test_what_is_not_ours_stays(state: Path, tmp_path: Path) -> None:
    made(state, "with-notes").joinpath("notes.txt").write_text("mine")
    made(state, "from-the-shell", bounded=False)
    made(state, "with-a-folder").joinpath("figures").mkdir()
    outside = tmp_path / "elsewhere"
    shutil.copytree(made(state, "copied"), outside)
    shutil.rmtree(state / "copied")
    (state / "link").symlink_to(outside)
    made(state, "with-a-link").joinpath("events.parquet").symlink_to(outside / "session.json")
    (state / "no-session").mkdir()
    (state / "a-file").write_text("x")
    broken = made(state, "broken")
    (broken / "session.json").write_text("{")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert kept.prune(most=0) == []
    for name in (
        "with-notes",
        "with-a-folder",
        "link",
        "with-a-link",
        "no-session",
        "a-file",
        "../elsewhere",
        "",
        ".",
        "..",
    ):
        with pytest.raises(SessionError):
            kept.remove(name)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.root("gives a folder away")
def test_a_session_of_somebody_else_stays(state: Path) -> None:
    session = made(state, "theirs")
    os.chown(session, 12345, 12345)
    assert kept.sessions() == []
    assert kept.prune(most=0) == []
    with pytest.raises(SessionError, match="somebody else"):
        kept.remove("theirs")
    assert session.exists()


def test_a_named_session_stays_and_is_found_by_its_name(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(state, "data-1")
    made(state, "data-2")
    assert main(["sessions", "--name", "data-1", "polyglot", "--prune", "--most", "0"]) == 0
    assert names(state) == {"polyglot"}
    assert "polyglot" in capsys.readouterr().out
    assert main(["sessions", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["bounded"], row["directory"]) == ("polyglot", False, "/srv/data")
    assert main(["sessions", "--remove", "polyglot"]) == 0
    assert not names(state)
    assert fmrw.sessions().height == 0


@pytest.mark.parametrize("new", ["", ".hidden", "a/b", "..", "x" * 300, "taken"])
def test_a_name_that_is_none_is_refused(state: Path, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    made(state, "data-1")
    made(state, "taken")
    assert main(["sessions", "--name", "data-1", new]) == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert names(state) == {"data-1", "taken"}


def test_a_name_that_is_not_there_tells_where_to_look(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sessions", "--remove", "nobody"]) == 1
    assert "`fmrw sessions` lists them" in capsys.readouterr().err
    assert main(["gaps", "nobody"]) == 1
    assert "`fmrw sessions` lists them" in capsys.readouterr().err
    assert not state.exists()


def test_nothing_there_is_no_error(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", "--prune"]) == 0
    assert "no session is kept" in capsys.readouterr().out
    assert not state.exists()


def test_names_that_are_no_text_are_listed_and_found(
    state: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    facts = {"root": "/srv/\udcff", "command": ["cat", "\udcfe"]}
    folder.create(state / "\udcff", facts)
    assert main(["sessions", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["directory"]) == (r"\xff", r"/srv/\xff")
    assert (row["command"], row["folder"]) == (r"cat '\xfe'", rf"{state}/\xff")
    assert kept.named(row["name"]) == state / "\udcff"
    folder.create(tmp_path / "away", facts)
    assert kept.named(str(tmp_path / "away").replace("/", r"\x2f")) is None, "nothing leads out"
    assert main(["sessions", "--remove", row["name"]]) == 0
    assert not names(state)


@pytest.mark.parametrize("name", [".git", "..x", "-v", "x" * 255, "é" * 127, ".", "/"])
def test_a_recording_of_any_directory_is_found_by_its_name(state: Path, name: str) -> None:
    session = kept.fresh(Path("/srv") / name)
    folder.create(session, {})
    assert session.parent == state
    assert kept.named(session.name) == session
    assert not session.name.startswith("-")
