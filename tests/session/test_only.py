"""One program of a recording, as RECORDING:PROCESS and as `Trace.only`, in every command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from recordings import events, trace

import fmrw
from fmrw.cli.main import main
from fmrw.errors import UnknownPath
from fmrw.session import lookup
from fmrw.session.sources import FrameSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace

__all__ = ["trace"]
FRAME = pl.concat(
    [
        events(("read", 0, 100), ("read", 200, 300), process="unzip", pid=7),
        events(("read", 50, 150), process="u:8", pid=8, first=2),
        events(("write", 990, 1200), process="grower", pid=9, first=3, size=1200),
    ]
)


@pytest.fixture
def session(trace: Callable[..., LiveTrace], tmp_path: Path) -> Path:
    return trace(FRAME).save(tmp_path / "session")


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:  # noqa: ANN401 - JSON
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_command_takes_one_program(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{session}:unzip"
    found = asked(capsys, "coverage", name, "sample.bin")
    assert (found["read"], found["size"]) == ([[0, 100], [200, 300]], 1200)
    gaps = asked(capsys, "gaps", name)["gaps"]
    assert sorted((gap["start"], gap["end"]) for gap in gaps) == [(100, 200), (300, 1200)]
    assert asked(capsys, "assert", name, "sample.bin", "--never", "100-200", "--reads", "0-100")["ok"]
    ranges = asked(capsys, "diff", name, f"{session}:u:8")["ranges"]
    assert [row["end"] for row in ranges if row["readers"] == "A, B"] == [100]
    (written,) = asked(capsys, "report", name, "-o", str(tmp_path / "out"), "--format", "csv")
    assert fmrw.load(written).events["process"].unique().to_list() == ["unzip"]
    assert main(["view", name, "sample.bin"]) == 0
    assert "2 reads" in capsys.readouterr().out


def test_a_function_takes_one_program(session: Path) -> None:
    assert fmrw.coverage(f"{session}:u:8")["read"] == [[50, 150]]
    assert fmrw.load(f"{session}:u:8").files["reads"].to_list() == [1]
    held = {session: fmrw.load(session)}
    assert lookup.recording(f"{session}:unzip", held).events.height == 2
    assert fmrw.load(f"{session.parent}/sess*:unzip").events.height == 2


def test_who_is_not_there_is_told_who_is(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownPath, match=r"unzp did nothing in .*session; these did: grower, u:8, unzip"):
        fmrw.load(session).only("unzp")
    assert main(["coverage", f"{session}:unzp"]) == 1
    assert "unzip" in capsys.readouterr().err


def test_a_name_with_a_colon_is_a_recording_first(session: Path) -> None:
    moved = session.rename(session.with_name("a:unzip"))
    assert fmrw.load(moved).events.height == 4
    assert fmrw.load(f"{moved}:unzip").events.height == 2


def test_a_part_follows_what_it_is_part_of(trace: Callable[..., LiveTrace]) -> None:
    whole = trace(FRAME)
    part = whole.only("unzip")
    whole._source.add(events(("read", 400, 500), process="unzip", pid=70, first=9))  # type: ignore[attr-defined] # `Growing`
    assert part.coverage("sample.bin").rows() == [(0, 100), (200, 300), (400, 500)]
    assert len(part["unzip"]) == 300


def test_a_part_names_the_programs_of_the_whole(trace: Callable[..., LiveTrace], session: Path) -> None:
    """Colours are chosen among these, and must not change when one program alone is looked at."""
    for whole in (trace(FRAME), fmrw.load(session)):
        assert whole.programs == ("grower", "u:8", "unzip")
        assert whole.only("unzip").programs == whole.programs


def test_programs_are_drawn_against_each_other(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], trace: Callable[..., LiveTrace]
) -> None:
    assert (
        main(["report", str(session), "--chart", "differential", "--format", "svg", "-o", str(tmp_path)]) == 0
    )
    drawn = (tmp_path / "sample.bin-differential.svg").read_text()
    assert ">only unzip [7]<" in drawn
    target = tmp_path / "two.svg"
    assert (
        main(["diff", f"{session}:unzip", f"{session}:u:8", "--chart", str(target), "--preset", "slide-16x9"])
        == 0
    )
    assert f"figure: {target}\n" in capsys.readouterr().err
    assert main(["diff", f"{session}:unzip", f"{session}:u:8", "--chart", str(target)]) == 0
    assert f"figure: {target}, in place of the file that was there" in capsys.readouterr().err
    text = target.read_text()
    assert ">both<" in text
    assert ">4.2%<" in text  # 50 of 1,200 bytes
    pieces = trace(FRAME).differential("sample.bin")
    assert pieces.select("start", "end", "readers").rows()[:3] == [
        (0, 50, "unzip"),
        (50, 100, "unzip, u:8"),
        (100, 150, "u:8"),
    ]
    assert main(["diff", f"{session}:unzip", f"{session}:u:8", "--chart", str(tmp_path / "a.jpeg")]) == 2
    assert "pdf, svg, png, html" in capsys.readouterr().err


def test_a_comparison_names_what_was_run_in_both_recordings(session: Path, tmp_path: Path) -> None:
    trace, long = fmrw.load(session), "x" * 500
    runs = [("a", ["unzip", "-l", "z"], "exact", 1), ("b", ["bsdtar", long], "paged", 2)]
    for name, command, capture, day in runs:
        facts = {
            "command": command,
            "options": {"capture": capture},
            "ended": f"2024-01-0{day}T00:00:00+00:00",
        }
        fmrw.Trace(FrameSource(trace.events, trace.processes, trace.facts | facts)).save(tmp_path / name)
    target = tmp_path / "two.svg"
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--chart", str(target)]) == 0
    drawn = target.read_text()
    said = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", drawn))
    assert "A: command: unzip -l z, capture: exact, 2024-01-01 00:00:00 UTC · B: command: bsdtar xxx" in said
    assert "xxx, capture: paged, 2024-01-02 00:00:00 UTC · fmrw" in said
    assert "capture exact and paged" in said
    assert long not in said
    assert f"bsdtar {long}" in drawn, "the metadata has all of it"
    assert main(["diff", f"{tmp_path}/a:unzip", f"{tmp_path}/a:u:8", "--chart", str(target)]) == 0
    assert "A: command" not in target.read_text()
