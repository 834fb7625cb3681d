"""Commands that ask a recording; no mount is needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fmrw
from fmrw.cli.main import main
from fmrw.commands.families import grammar
from fmrw.magics import register
from fmrw.session import questions, verbs
from fmrw.session.sources import FrameSource
from fmrw.trace import schema

DATA = Path(__file__).parents[2] / "data"
NAME = "hidden-png.zip"
SIZE = (DATA / NAME).stat().st_size


def event(seq: int, op: str, start: int, end: int, process: str) -> dict[str, Any]:
    return {
        "seq": seq, "time": 1_700_000_000_000_000 + seq, "op": op, "path": NAME, "call": seq, "start": start, "end": end,
        "requested": end - start, "size": SIZE, "fidelity": "byte", "handle": 1, "pid": len(process), "tid": 1,
        "process": process, "errno": 0, "thread": process,
    }  # fmt: skip


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session in which `unzip` leaves 0x2000 to 0x6000 alone and `peek` reads the beginning."""
    samples = tmp_path / "samples"
    samples.mkdir()
    shutil.copy(DATA / NAME, samples)
    status = (samples / NAME).stat()
    rows = [
        event(0, "read", 0x6000, SIZE, "unzip"),
        event(1, "read", 0, 0x2000, "unzip"),
        event(2, "read", 0, 0x100, "peek"),
        event(3, "write", 0x10, 0x20, "peek"),
    ]
    events = pl.DataFrame(rows, schema={**schema.EVENTS, "time": pl.Int64()})
    events = events.with_columns(pl.col("time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    facts = {"root": str(samples), "files": {NAME: {"size": status.st_size, "mtime_ns": status.st_mtime_ns}}}
    source = FrameSource(events, pl.DataFrame(schema=schema.PROCESSES), facts)
    return fmrw.Trace(source).save(tmp_path / "session")


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main([str(each) for each in arguments]) == status
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:  # noqa: ANN401
    return json.loads(told(capsys, *arguments, "--json", status=status))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 1) -> str:
    assert main([str(each) for each in arguments]) == status
    said = capsys.readouterr().err.strip()
    assert "Traceback" not in said
    if status == 1:
        assert len(said.splitlines()) == 1
    return said


def test_coverage_as_promised(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = data(capsys, "coverage", str(session), NAME)
    assert found == {
        "path": NAME,
        "size": SIZE,
        "read": [[0, 0x2000], [0x6000, SIZE]],
        "written": [[0x10, 0x20]],
        "gaps": [[0x2000, 0x6000]],
        "read_bytes": SIZE - 0x4000,
        "events": 4,
        "fidelity": "byte",
        "smallest_request": 0x100,
    }
    assert "never read" in told(capsys, "coverage", str(session), NAME)


def paged(session: Path, tmp_path: Path) -> Path:
    """Make the same session with ranges of whole pages."""
    whole = fmrw.load(session)
    frame = whole.events.with_columns(fidelity=pl.lit("page").cast(schema.EVENTS["fidelity"]))
    return fmrw.Trace(FrameSource(frame, whole.processes, whole.facts)).save(tmp_path / "paged")


COMMANDS = (
    ("coverage", NAME), ("gaps", NAME, "--structure"), ("assert", NAME, "--reads", "0-1"), ("view", NAME), ("diff",),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_table_says_how_exact_it_is(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    byte, page = "byte-exact", "page-granular: ranges are whole pages"
    for place, words, other in ((session, byte, "page-granular"), (paged(session, tmp_path), page, byte)):
        places = (place, place) if command[0] == "diff" else (place,)
        said = " ".join(told(capsys, command[0], *places, *command[1:]).split())
        assert words in said
        assert other not in said
        if command[0] != "view":
            found = data(capsys, command[0], *places, *command[1:])
            assert found["fidelity"] == ("byte" if place == session else "page")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["coverage"], ["bytes requested", "requested\n", "never read\n"]),
        (["gaps", "--structure"], ["what the format says, and what was requested"]),
        (["assert", "--never", "0-0x10"], ["16 bytes of it requested"]),
        (["assert", "--fail-under", "90"], [" % requested, "]),
    ],
)
def test_tables_call_requested_what_a_program_may_not_have_looked_at(
    session: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    words: list[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    main([command[0], str(session), NAME, *command[1:]])
    said = "".join(f"{line.rstrip()}\n" for line in capsys.readouterr().out.splitlines())
    assert [word for word in words if word not in said] == []
    assert "was read" not in said.replace("central directory was", "")


def test_a_comparison_says_who_requested_what(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["diff", f"{session}:unzip", f"{session}:peek", "--file", NAME])
    said = capsys.readouterr().out
    assert "requested by" in said
    assert "of the bytes either requested" in said


def test_gaps_name_the_hidden_format(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = data(capsys, "gaps", str(session), NAME, "--structure")
    assert [(gap["start"], gap["end"], gap["magic_offsets"]) for gap in found["gaps"]] == [
        (0x2000, 0x6000, [8640])
    ]
    assert sum(row["bytes"] for row in found["structure"]) == SIZE
    assert found["format"] == "ZIP"
    shown = told(capsys, "gaps", str(session), NAME, "--structure")
    assert "a second format, PNG, begins at 0x21c0" in shown
    assert "format: ZIP" in shown
    assert "between entry" in shown


def test_gaps_do_not_guess_when_the_file_changed(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (session.parent / "samples" / NAME).write_bytes(b"other")
    gap = data(capsys, "gaps", str(session), NAME)["gaps"][0]
    assert gap["byte_class"] is None
    assert "changed since the session" in gap["note"]


def test_structure_of_ones_own(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ranges = tmp_path / "ranges.csv"
    ranges.write_text("start,end,name\n0x2000,0x6000,cavity\n")
    found = data(capsys, "gaps", str(session), NAME, "--structure", str(ranges))["structure"]
    assert {row["class"]: row["bytes"] for row in found}["described & ignored"] == 0x4000


def test_diff_of_two_processes(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = data(capsys, "diff", f"{session}:unzip", f"{session}:peek")
    assert [(row["start"], row["end"], row["readers"]) for row in found["ranges"]] == [
        (0, 0x100, "A, B"), (0x100, 0x2000, "A"), (0x2000, 0x6000, ""), (0x6000, SIZE, "A"),
    ]  # fmt: skip
    assert found["agreement"]["both"] == 0x100
    assert "agree on" in told(capsys, "diff", f"{session}:unzip", f"{session}:peek", "--file", NAME)


def test_assert(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = (str(session), NAME)
    told(capsys, "assert", *place, "--reads", "0-8KiB", "--never", "0x2000-0x6000", "--fail-under", "60")
    said = told(capsys, "assert", *place, "--reads", "0x1f00+512", "--fail-under", "90", status=1)
    assert "0x2000-0x2100" in said
    assert "0x2000-0x6000" in said
    assert not data(capsys, "assert", *place, "--never", "0-1", status=1)["ok"]
    refused(capsys, "assert", *place, status=2)
    for wrong in (("--reads", "zzz"), ("--never", "9-3"), ("--reads", "101%-102%")):
        assert wrong[1].split("-")[0] in refused(capsys, "assert", *place, *wrong, status=2)
    assert NAME in refused(capsys, "assert", session, "hidden.zip", "--reads", "0-1", status=2)
    assert main(["assert", f"{session}/nowhere", NAME, "--reads", "0-1"]) == 1


def test_assert_tells_ranges_beyond_the_end(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["assert", str(session), NAME, "--never", f"{SIZE}+1", "--reads", "0-4"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert f"goes beyond the end of {NAME}, which has {SIZE:,} bytes" in said.err
    assert "byte-exact" in said.out
    assert main(["assert", str(session), NAME, "--never", "0x2000-end"]) == 1
    assert "beyond" not in capsys.readouterr().err


def test_assert_knows_the_size(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = (str(session), NAME)
    told(capsys, "assert", *place, "--reads", "0x6000-end", "--never", "0x2000-0x6000")
    said = told(capsys, "assert", *place, "--reads", "0-50%", status=1)
    assert f"0x2000-{min(SIZE // 2, 0x6000):#x}" in said
    assert "past the end" in refused(capsys, "assert", *place, "--reads", "0-101%", status=2)


def test_assert_refuses_a_share_that_is_none(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for share in ("nan", "-nan", "101"):
        assert main(["assert", str(session), NAME, "--fail-under", share]) == 2
        assert "--fail-under" in capsys.readouterr().err


def test_annotations_know_the_size(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("--format", "svg", "--chart", "strip", "-o", str(tmp_path / "out"))
    told(capsys, "report", str(session), NAME, *out, "--annotate", "50%-end=second half")
    assert "second half" in (tmp_path / "out" / f"{NAME}-strip.svg").read_text()


def test_parts_are_marked_by_their_names(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--format", "svg", "--chart", "strip", "-o", str(tmp_path / "out"))
    told(
        capsys,
        "report",
        str(session),
        *out,
        "--annotate",
        "ZIP end record",
        "--annotate",
        "0x2000-0x6000=cavity",
    )
    drawn = (tmp_path / "out" / f"{NAME}-strip.svg").read_text()
    assert ">ZIP end record<" in drawn
    assert ">cavity<" in drawn
    told(capsys, "report", str(session), *out, "--annotate", "central directory=its list", "--structure")
    drawn = (tmp_path / "out" / f"{NAME}-strip.svg").read_text()
    assert ">its list<" in drawn
    assert ">entry second.bin<" in drawn
    assert "there are ZIP, entry first.txt" in refused(
        capsys, "report", str(session), *out, "--annotate", "trailer", status=2
    )


def test_a_session_of_one_file_needs_no_path(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data(capsys, "coverage", str(session)) == data(capsys, "coverage", str(session), NAME)
    assert data(capsys, "gaps", str(session)) == data(capsys, "gaps", str(session), NAME)
    events = fmrw.load(session).events
    two = pl.concat([events, events.with_columns(path=pl.lit("\x1b[31mred.zip"))])
    source = FrameSource(two, pl.DataFrame(schema=schema.PROCESSES), {})
    both = fmrw.Trace(source).save(session.parent / "two")
    assert f"read 2 files; name one: \\x1b[31mred.zip, {NAME}." in refused(capsys, "gaps", str(both))


def test_reports_in_every_data_format(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    written = data(capsys, "report", str(session), "-o", str(out), "--format", "csv,json,parquet,perfetto")
    assert {Path(each).name for each in written} == {
        f"{NAME}.csv",
        f"{NAME}.json",
        f"{NAME}.parquet",
        "trace.perfetto.json",
    }
    again = fmrw.load(out / f"{NAME}.csv")
    assert again.coverage(NAME).rows() == fmrw.load(session).coverage(NAME).rows()
    assert fmrw.load(out / f"{NAME}.parquet").coverage(NAME).rows() == [(0, 0x2000), (0x6000, SIZE)]
    assert json.loads((out / "trace.perfetto.json").read_text())["traceEvents"]


def test_figures_in_every_format(session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    told(
        capsys, "report", str(session), "-o", str(out), "--format", "pdf,svg,png,html", "--chart", "strip,entropy",
        "--preset", "dark", "--annotate", "0x2000-0x6000=cavity", "--title", "A talk", "--no-caption",
    )  # fmt: skip
    assert {each.suffix for each in out.iterdir()} == {".pdf", ".svg", ".png", ".html"}
    assert (out / f"{NAME}-strip.pdf").read_bytes().startswith(b"%PDF")
    assert "cavity" in (out / f"{NAME}-strip.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (("--format", "xls"), "csv, json, parquet"),
        (("--chart", "pie"), "heatmap, strip"),
        (("--preset", "neon"), "slide-16x9"),
        (("--format", "png", "--width", "-5"), "144 to 5000 points"),
        (("--format", "pdf", "--height", "0"), "144 to 5000 points"),
        (("--width", "nan"), "144 to 5000 points"),
        (("--height", "inf"), "144 to 5000 points"),
        (("--width", "100000"), "144 to 5000 points"),
        (("--format", "png", "--width", "5000", "--height", "5000", "--scale", "4"), "smaller scale"),
        (("--annotate", "0x0-0xffffffff=far", "--format", "svg"), "bytes"),
        (("--format", "gif"), "add `--chart playback`, or take png"),
        (("--format", "gif", "--chart", "playback,strip"), "not a strip; take png for it"),
        (("--format", "html,png", "--chart", "playback"), "a png does not; take html or gif"),
        (("--format", "svg", "--chart", "strip,playback"), "a svg does not; take html or gif"),
    ],
)  # fmt: skip
def test_reports_refuse_in_one_line(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], cure: str
) -> None:
    out = str(tmp_path / "out")
    assert cure in refused(capsys, "report", str(session), "-o", out, *arguments, status=2)


@pytest.mark.filterwarnings("default::fmrw.trace.foreign.DamagedWarning")
def test_what_is_wrong_with_a_log_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text('openat(AT_FDCWD</>, "a", O_RDONLY) = 3</a>\nread(3</a>, "x", 9) = 1\nread(3</a>, "y')
    assert main(["files", str(log)]) == 0
    assert capsys.readouterr().err == f"fmrw: {log}: the last line is incomplete and was left out\n"


def test_each_format_is_made_of_the_charts_it_can_show(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    told(
        capsys, "report", session, "-o", out, "--chart", "playback,strip", "--format", "gif,svg,html,perfetto"
    )
    assert {each.name.removeprefix(NAME) for each in out.iterdir()} == {
        "-playback.gif", "-playback.html", "-strip.html", "-strip.svg", "trace.perfetto.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said", "others"),
    [
        (("--chart", "effects"), "was not probed", []),
        (("--chart", "lanes", "--functions"), "record with --sites", []),
        (("--chart", "strip", "--structure=LOST"), "LOST", []),
        (("--chart", "strip,effects"), "was not probed", [f"{NAME}-strip.svg"]),
    ],
)  # fmt: skip
def test_a_chart_that_could_not_be_drawn_is_a_failure(
    session: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
    others: list[str],
) -> None:
    out = session.parent / "out"
    bad = session.parent / "LOST"
    bad.write_text("{")
    wanted = [each.replace("LOST", str(bad)) for each in arguments]
    assert main(["report", str(session), "-o", str(out), "--format", "svg", *wanted]) == 1
    assert said in capsys.readouterr().err
    assert [each.name for each in out.iterdir()] == others


def test_a_chart_of_some_of_the_files_is_none(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = fmrw.load(session)
    two = pl.concat([trace.events, trace.events.with_columns(path=pl.lit("gone"))])
    both = fmrw.Trace(FrameSource(two, trace.processes, trace.facts)).save(tmp_path / "two")
    told(capsys, "report", both, "-o", tmp_path / "out", "--format", "svg", "--chart", "entropy")
    assert [each.name for each in (tmp_path / "out").iterdir()] == [f"{NAME}-entropy.svg"]


def test_call_borders_are_drawn_when_asked_for(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, asked = tmp_path / "out", ("--format", "svg", "--chart", "strip")
    told(capsys, "report", session, NAME, "-o", out, *asked)
    plain = (out / f"{NAME}-strip.svg").read_text()
    told(capsys, "report", session, NAME, "-o", out, *asked, "--borders")
    assert "call borders" not in plain
    assert "call borders" in (out / f"{NAME}-strip.svg").read_text()
    assert "add `--chart strip`" in refused(capsys, "report", session, "-o", out, "--borders", status=2)


def test_unknown_names_list_the_nearest(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert NAME in refused(capsys, "coverage", str(session), "hidden-pgn.zip")
    assert "no session" in refused(capsys, "coverage", str(session.parent / "samples"), NAME)
    assert "nothing there" in refused(capsys, "coverage", str(session / "nowhere"), NAME)
    assert "unzip" in refused(capsys, "diff", f"{session}:unzip", f"{session}:7z").replace(
        "fmrw run", "unzip"
    )


def test_many_sessions_are_one_set(session: Path, tmp_path: Path) -> None:
    fmrw.load(session).save(tmp_path / "runs" / "b")
    fmrw.load(session).save(tmp_path / "runs" / "a")
    both = fmrw.load(str(tmp_path / "runs" / "*"))
    assert both.events["session"].n_unique() == 2
    assert both.events.height == 8
    assert fmrw.load(tmp_path / "runs").events.height == 8


def test_a_process_by_its_name(session: Path) -> None:
    trace = fmrw.load(session)
    assert list(trace["unzip"] - trace["peek"]) == [(0x100, 0x2000), (0x6000, SIZE)]
    assert list(~(trace["unzip"] | trace["peek"])) == [(0x2000, 0x6000)]
    with pytest.raises(fmrw.FmrwError, match="read nothing"):
        trace["nobody"]


def test_a_recording_is_explored_against_others(session: Path, tmp_path: Path) -> None:
    shutil.copytree(session, tmp_path / "again")
    shown = verbs.view(session, NAME, against=[str(tmp_path / "again")])
    assert [each.label for each in shown.compare] == ["this recording", "again"]
    assert (shown.colour, shown.problem) == ("compare", "")
    table = verbs.view(session)
    assert table.open(NAME).opener is not None
    with pytest.raises(fmrw.FmrwError, match="nothing there"):
        verbs.view(session, NAME, against=["nowhere"])
    assert main(["view", str(session), NAME, "--against", str(tmp_path / "again")]) == 0


def test_every_question_is_a_function_too(session: Path, tmp_path: Path) -> None:
    trace = fmrw.load(session)
    for recording in (session, str(session), trace):
        assert verbs.coverage(recording, NAME)["gaps"] == [[0x2000, 0x6000]]
        assert verbs.gaps(recording)["start"].to_list() == [0x2000]
    assert "explore" in type(verbs.view(session, NAME)).__module__
    assert "browse" in type(verbs.view(trace)).__module__
    for recording in (session, str(session), trace, f"{session}:unzip"):
        assert fmrw.browse(recording).files["path"].to_list() == [NAME]
        assert NAME in fmrw.explore(recording).text()
        assert fmrw.explore(recording, NAME, window=(0, 16)).window == (0, 16)
        assert fmrw.files(recording)["path"].unique().to_list() == [NAME]
    readers = verbs.diff(f"{session}:unzip", f"{session}:peek", NAME)["readers"].to_list()
    assert readers == ["A, B", "A", "", "A"]
    assert [path.name for path in verbs.report(trace, NAME, output=tmp_path / "out", formats=["csv"])] == [
        f"{NAME}.csv"
    ]
    assert any(finding.what == "Python" for finding in fmrw.doctor())
    assert set(grammar.commands) - set(fmrw.__all__) == {"assert", "demo"}


@pytest.mark.parametrize(
    ("question", "command"),
    [("gap_report", "gaps"), ("coverage_report", "coverage")],
)
def test_all_doors_end_in_the_same_question(
    session: Path, monkeypatch: pytest.MonkeyPatch, question: str, command: str
) -> None:
    asked: list[str] = []
    real = getattr(questions, question)

    def spy(trace: fmrw.Trace, path: str, **others: object) -> object:
        asked.append(path)
        return real(trace, path, **others)

    monkeypatch.setattr(questions, question, spy)
    main([command, str(session), NAME])
    register.invoke([command, str(session), NAME], quiet=True)
    getattr(fmrw, command)(session, NAME)
    getattr(fmrw.load(session), question)(NAME)
    assert asked == [NAME] * 4


def test_both_doors_end_in_the_same_crosstab(
    session: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    real = questions.crosstab

    def spy(trace: fmrw.Trace, path: str, described: str | None = None) -> pl.DataFrame:
        asked.append(path)
        return real(trace, path, described)

    monkeypatch.setattr(questions, "crosstab", spy)
    ranges = tmp_path / "parts.csv"
    ranges.write_text("start,end,name\n0,16,header\n")
    main(["gaps", str(session), NAME, "--structure", str(ranges)])
    register.invoke(["gaps", str(session), NAME, "--structure", str(ranges)], quiet=True)
    fmrw.load(session).crosstab(NAME, ranges)
    assert asked == [NAME] * 3


def test_a_file_read_through_another_handle_is_not_an_unused_one() -> None:
    rows = [
        {**event(seq, op, 0, end, "p"), "handle": handle, "path": path}
        for seq, (op, end, handle, path) in enumerate(
            [
                ("open", 0, 1, "a"), ("close", 0, 1, "a"), ("open", 0, 2, "a"), ("read", 9, 2, "a"), ("close", 0, 2, "a"),
                ("open", 0, 3, "b"), ("close", 0, 3, "b"), ("open", 0, 4, "c"),
            ]
        )
    ]  # fmt: skip
    events = pl.DataFrame(rows, schema={**schema.EVENTS, "time": pl.Int64()})
    assert questions.unused_opens(events.lazy()) == ["b"]
