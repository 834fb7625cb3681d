"""What a probe found, on disk: in folders of any name, and kept when a session is saved elsewhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import polars as pl
import pytest
from recordings import events

import fmrw
from fmrw.errors import SessionError
from fmrw.session import saving
from fmrw.trace import effects, schema
from fmrw.trace.facts import read_facts

if TYPE_CHECKING:
    from pathlib import Path

FOUND = effects.frame(
    "sample.bin", "parser", [{"start": 0, "end": 9, "class": "ignored", "values": [1], "effect": "none", "field": None}]
)  # fmt: skip


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff\n")
    folder.mkdir()
    effects.write(FOUND, folder)
    assert effects.read(folder).equals(FOUND)
    assert [path.name for path in folder.iterdir()] == [effects.FILE]


def test_a_pipe_in_a_strangers_session_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / effects.FILE)
    with pytest.raises(SessionError, match="not a regular file"):
        effects.read(tmp_path)


def test_no_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"gone: No such file or directory; make room"):
        effects.write(FOUND, tmp_path / "gone")


def test_a_saved_trace_keeps_what_a_probe_found_and_counts_its_own_events(tmp_path: Path) -> None:
    recorded = events(("read", 0, 9), ("read", 9, 20), ("read", 20, 30))
    saving.save(
        tmp_path / "whole",
        recorded.with_columns(process=pl.Series(["one", "two", "two"])),
        processes=pl.DataFrame(schema=schema.PROCESSES),
        sites=schema.SITES.to_frame(),
        facts={"root": "/srv", "events": 9},
        marked={},
        found=FOUND,
    )
    whole = fmrw.load(tmp_path / "whole")
    whole.only("one").save(tmp_path / "part")
    assert fmrw.load(tmp_path / "part").effects.equals(FOUND)
    assert [read_facts(tmp_path / name)["events"] for name in ("whole", "part")] == [3, 1]
