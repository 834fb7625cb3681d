"""The grain `auto` chooses suits the program: it then asks for what it wants."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import fmrw
from fmrw.cli.main import main
from fmrw.errors import BadInput
from fmrw.recording.grain import chosen

if TYPE_CHECKING:
    from pathlib import Path


def script(place: Path, first: str) -> str:
    place.write_text(f"{first}\nopen('file', 'rb').read(4)\n")
    place.chmod(0o755)
    return str(place)


@pytest.mark.parametrize(
    ("first", "grain"),
    [
        ("#!/usr/bin/python3", 16), ("#!/usr/bin/env python3", 16), ("#! /usr/bin/env -S python3.11 -u", 16),
        ("#!/bin/sh", 1), ("no script", 1), ("", 1),
    ],
)  # fmt: skip
def test_a_script_is_known_by_its_first_line(tmp_path: Path, first: str, grain: int) -> None:
    assert chosen("auto", [script(tmp_path / "program", first)]) == grain


def test_programs_are_known_by_name() -> None:
    assert chosen("auto", [sys.executable]) == 16
    assert chosen("auto", ["sh"]) == 1
    assert chosen("auto", ["no such program"]) == 1
    assert chosen(512, ["sh"]) == 512


def test_what_cannot_be_chosen_is_told() -> None:
    with pytest.raises(BadInput, match="give 1 for C's stdio or 16 for Python"):
        chosen("auto", None)
    with pytest.raises(BadInput, match="a number of bytes"):
        chosen("fine", ["sh"])


@pytest.mark.mount
def test_real_programs_ask_for_what_they_want(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "watched"
    directory.mkdir()
    (directory / "file").write_bytes(bytes(range(256)) * 40)
    reader = "import sys; open(sys.argv[1], 'rb').read(4)"
    for command, largest in (
        ([sys.executable, "-I", "-c", reader, str(directory / "file")], 16),
        (["xxd", "-l", "4", str(directory / "file")], 1),
    ):
        asked = fmrw.run(command, directory, grain="auto").trace.of("file").filter(op="read")["requested"]
        assert asked.max() == largest
    assert main(["mount", "--grain", "auto", str(directory)]) == 2
    assert "a mount has none" in capfd.readouterr().err
