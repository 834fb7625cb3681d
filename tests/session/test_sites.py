"""Call sites of a recording: names that the files tell, totals that add up, and the forms in which others take them."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import polars as pl
import pytest

import fmrw
from fmrw.analysis.sites import naming, stacks
from fmrw.capture.sites import elf
from fmrw.cli.main import main
from fmrw.errors import BadInput, FigureError
from fmrw.session import reports
from fmrw.trace import schema, store

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[1] / "capture" / "readers.c"
FILE = "polyglot.pdf"
FMRW = Path(sys.executable).with_name("fmrw")
READ = {"read_header": [(0, 32)], "read_entry": [(100, 148)]}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parser with debug information, with symbols, and stripped of both."""
    folder = tmp_path_factory.mktemp("readers")
    for name, options in (("lines", ["-g"]), ("symbols", []), ("stripped", ["-s"])):
        subprocess.run(["cc", "-O1", *options, "-o", folder / name, SOURCE], check=True)
    return folder


def recorded(program: Path, directory: Path, output: Path | None = None) -> fmrw.Trace:
    return fmrw.run([program, directory / FILE], directory, sites=True, output=output).trace


@pytest.fixture
def trace(programs: Path, directory: Path, tmp_path: Path) -> Iterator[fmrw.Trace]:
    recorded(programs / "lines", directory, tmp_path / "out")
    return fmrw.load(tmp_path / "out")


pytestmark = pytest.mark.mount


def functions(trace: fmrw.Trace, site: int) -> list[str]:
    frames = trace.sites.filter(site=site).sort("depth")
    return [row["function"] for row in frames.iter_rows(named=True) if Path(row["module"]).name == "lines"]


def test_functions_and_lines_are_those_of_the_source(trace: fmrw.Trace) -> None:
    sites = {
        row["site"]: functions(trace, row["site"])[:3]
        for row in trace.site_report(FILE).iter_rows(named=True)
    }
    assert sorted(sites.values()) == [
        ["fetch", "read_entry", "read_directory"],
        ["fetch", "read_header", "main"],
    ]
    source = SOURCE.read_text().splitlines()
    for row in trace.sites.filter(pl.col("function") == "read_entry").iter_rows(named=True):
        name, _colon, line = row["line"].partition(":")
        assert name == "readers.c"
        assert "return fetch(at, 16)" in source[int(line) - 1]


def test_names_are_kept_in_the_session(trace: fmrw.Trace) -> None:
    assert trace.folder is not None
    kept = pl.read_parquet(trace.folder / store.SITES)
    assert kept.schema == schema.SITES
    assert "read_entry" in set(kept["function"])
    assert (trace.folder / store.SITES).stat().st_mode & 0o777 == 0o600
    assert kept.equals(trace.sites)


def test_a_site_is_called_by_where_the_stacks_part(trace: fmrw.Trace) -> None:
    report = trace.site_report(FILE)
    assert dict(report.select("function", "calls").rows()) == {"lines!read_entry": 3, "lines!read_header": 1}
    assert dict(report.select("function", "bytes").rows()) == {
        "lines!read_entry": 48,
        "lines!read_header": 32,
    }
    found = {
        row["function"].removeprefix("lines!"): list(zip(row["starts"], row["ends"], strict=True))
        for row in report.iter_rows(named=True)
    }
    assert found == READ


class _Server(http.server.BaseHTTPRequestHandler):
    """Gives debug files as debuginfod(8) does."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        found = self.files.get(self.path)
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


@pytest.fixture
def debug_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Serve debug files; give the server's address."""
    for name in ("DEBUGINFOD_URLS", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setattr(_Server, "asked", [])
    monkeypatch.setattr(_Server, "files", {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_debug_files_are_fetched_where_the_environment_names_a_server_and_only_there(
    directory: Path, tmp_path: Path, debug_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare, debug = tmp_path / "bare", tmp_path / "bare.debug"
    subprocess.run(["cc", "-O1", "-g", "-Wl,--build-id", "-o", bare, SOURCE], check=True)
    subprocess.run(["objcopy", "--only-keep-debug", bare, debug], check=True)
    subprocess.run(["strip", bare], check=True)
    with bare.open("rb") as file:
        _Server.files[f"/buildid/{elf.read(file.fileno()).build_id}/debuginfo"] = debug.read_bytes()
    own = pl.col("module").str.ends_with("/bare")
    plain = recorded(bare, directory).sites.filter(own)
    assert _Server.asked == []
    assert not {"read_header", "read_entry"} & set(plain["function"])
    monkeypatch.setenv("DEBUGINFOD_URLS", debug_server)
    named = recorded(bare, directory).sites.filter(own)
    assert {"read_header", "read_entry"} <= set(named["function"])
    assert any(line.startswith("readers.c:") for line in named["line"])
    assert set(_Server.files) <= set(_Server.asked)
    assert named.drop("function", "line", "site").equals(plain.drop("function", "line", "site"))


def test_a_server_that_takes_too_long_is_asked_no_more(
    programs: Path, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    late = tmp_path / "debuginfod-find"
    late.write_text(f"#!/bin/sh\necho asked >> '{asked}'\nexec sleep 1000\n")
    late.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DEBUGINFOD_URLS", "http://127.0.0.1:9")
    monkeypatch.setattr(naming, "_FETCH_S", 1)
    trace = recorded(programs / "symbols", directory)
    assert "read_entry" in set(trace.sites["function"])
    assert trace.sites["module"].n_unique() > 1
    assert asked.read_text().splitlines() == ["asked"]


def test_sums_are_those_of_the_events(trace: fmrw.Trace) -> None:
    moved = schema.transfers(trace.events).filter(pl.col("site").is_not_null())
    assert trace.site_report()["calls"].sum() == moved.height
    assert trace.site_report()["bytes"].sum() == (moved["end"] - moved["start"]).sum()


def test_one_function(trace: fmrw.Trace) -> None:
    for name in ("read_directory", "lines!read_directory"):
        assert trace.site_report(FILE, name)["calls"].to_list() == [3]
    assert trace.site_report(FILE, "fetch")["calls"].sum() == 4
    with pytest.raises(BadInput, match="no call site has the function nobody"):
        trace.site_report(FILE, "nobody")


def test_without_symbols_functions_are_called_by_their_bounds(programs: Path, directory: Path) -> None:
    trace = recorded(programs / "stripped", directory)
    said = subprocess.run(["nm", programs / "symbols"], capture_output=True, text=True, check=True).stdout
    places = {
        name: int(place, 16) for place, name in re.findall(r"^([0-9a-f]+) [tT] (\w+)$", said, re.MULTILINE)
    }
    own = trace.sites.filter(pl.col("module").str.ends_with("stripped"), pl.col("function") != "")
    wanted = {
        f"fn@0x{places[name]:x}" for name in ("fetch", "read_header", "read_entry", "read_directory", "main")
    }
    assert wanted <= set(own["function"])
    again = recorded(programs / "stripped", directory)
    assert again.sites.drop("site").equals(trace.sites.drop("site"))  # stable from run to run
    labels = {frame.label for chain in stacks.chains(trace.sites).values() for frame in chain}
    assert any(re.fullmatch(rf"stripped!fn@0x{places['fetch']:x}\+0x[0-9a-f]+", label) for label in labels)


def test_a_file_that_is_another_one_now_names_nothing(
    programs: Path, directory: Path, tmp_path: Path
) -> None:
    program = Path(shutil.copy(programs / "symbols", tmp_path / "program"))
    trace = recorded(program, directory)
    shutil.copy(programs / "lines", tmp_path / "other")
    (tmp_path / "other").replace(program)
    own = trace.sites.filter(pl.col("module") == str(program))
    assert own.height
    assert set(own["function"]) == {""}
    assert set(own["line"]) == {""}


def test_the_program_itself_may_lie_in_the_monitored_directory(programs: Path, directory: Path) -> None:
    program = Path(shutil.copy(programs / "symbols", directory / "program"))
    with fmrw.mount(directory, sites=True) as mount:
        subprocess.run([program, directory / FILE], check=True)
        names = set(mount.trace.sites["function"])
        assert not mount.trace.events.filter(pid=os.getpid()).height
    assert {"read_header", "read_entry"} <= names
    assert set(mount.trace.sites["quality"]) == {"cfi", "fault"}


def test_the_command_line(trace: fmrw.Trace, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(trace.folder)
    assert main(["sites", out, FILE, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [set(site) >= {"site", "calls", "bytes", "frames"} for site in told["sites"]] == [True, True]
    first = told["sites"][0]
    assert (first["calls"], first["bytes"]) == (3, 48)
    assert Path(first["frames"][0]["module"]).name.startswith(
        "libc.so"
    )  # the innermost first, the C library's too
    assert {"module", "offset", "function", "quality"} <= set(first["frames"][0])
    names = [frame["function"] for frame in first["frames"]]
    assert names[1:5] == ["fetch", "read_entry", "read_directory", "main"]

    assert main(["sites", out]) == 0
    shown = capsys.readouterr().out
    assert "lines!read_directory" in shown
    assert "site 2: 0x64-0x94" in shown

    assert main(["sites", out, "--folded", "--by", "calls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["3", "1"]
    assert lines[0].rsplit(" ", 1)[0].split(";")[-4:-1] == [
        "lines!read_directory",
        "lines!read_entry",
        "lines!fetch",
    ]

    assert main(["sites", out, "--speedscope"]) == 0
    profile = json.loads(capsys.readouterr().out)
    assert profile["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert profile["profiles"][0]["weights"] == [48, 32]
    frames = profile["shared"]["frames"]
    assert [frames[n]["name"] for n in profile["profiles"][0]["samples"][0]][-3:-1] == [
        "lines!read_entry",
        "lines!fetch",
    ]


def test_a_touched_page_has_the_instruction_as_its_site(directory: Path, tmp_path: Path) -> None:
    program = tmp_path / "touching"
    subprocess.run(["cc", "-O2", "-o", program, SOURCE.with_name("stackful.c"), "-pthread"], check=True)
    trace = fmrw.run([program, "touch", directory / FILE], directory, sites=True).trace
    pages = trace.events.filter(fidelity="page")
    assert pages["start"].to_list() == [0, 4096]
    assert pages["site"].n_unique() == 1
    frames = trace.sites.filter(site=pages["site"][0])
    assert frames.select("depth", "module", "function", "quality").rows() == [
        (0, str(program), "touch", "fault")
    ]


def test_parts_of_the_format_and_functions(
    trace: fmrw.Trace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    described = tmp_path / "parts.csv"
    described.write_text("start,end,name\n0,8,magic\n8,32,header\n100,116,first entry\n116,200,others\n")
    table = trace.functions_by_part(FILE, described)
    assert table.select("part", "function", "bytes", "calls").rows() == [
        ("magic", "lines!read_header", 8, 1),
        ("header", "lines!read_header", 24, 1),
        ("first entry", "lines!read_entry", 16, 1),
        ("others", "lines!read_entry", 32, 2),
    ]
    assert main(["sites", str(trace.folder), FILE, "--structure", str(described)]) == 0
    assert "first entry" in capsys.readouterr().out


def test_a_file_of_no_known_format_has_no_parts_and_it_is_said(
    trace: fmrw.Trace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (Path(str(trace.root)) / FILE).write_bytes(b"of no format" * 100)
    none = f"fmrw: no structure is known of {FILE}: it has no format that fmrw knows; give its ranges with --structure FILE.\n"
    for options in ([], ["--json"]):
        assert main(["sites", str(trace.folder), FILE, "--structure", *options]) == 1
        assert capsys.readouterr() == ("", none)
    described = tmp_path / "parts.csv"
    described.write_text("start,end,name\n")
    assert main(["sites", str(trace.folder), FILE, "--structure", str(described)]) == 1
    assert (
        capsys.readouterr().err
        == f"fmrw: no structure is known of {FILE}: {described} has no ranges; write some into it (start, end, name).\n"
    )
    described.write_text("start,end,name\n5000,6000,unread\n")
    assert main(["sites", str(trace.folder), FILE, "--structure", str(described)]) == 0
    assert "no function asked for a part of the format" in capsys.readouterr().out


def test_a_gap_says_who_read_last_before_it(trace: fmrw.Trace, capsys: pytest.CaptureFixture[str]) -> None:
    gaps = {row["start"]: row["last_read_by"] for row in trace.gap_report(FILE).iter_rows(named=True)}
    assert gaps == {32: "lines!read_header", 148: "lines!read_entry"}
    assert main(["gaps", str(trace.folder), FILE]) == 0
    assert "; the bytes before it were last read by lines!read_entry" in capsys.readouterr().out


def test_a_perfetto_trace_has_the_stacks(trace: fmrw.Trace, tmp_path: Path) -> None:
    assert main(["report", str(trace.folder), "-o", str(tmp_path / "figures"), "--format", "perfetto"]) == 0
    written = next((tmp_path / "figures").glob("*"))
    events = json.loads(written.read_text())["traceEvents"]
    stacks = {event["args"]["stack"] for event in events if event.get("name") == "read"}
    assert len(stacks) == 2
    assert all("lines!fetch ← lines!read_" in stack for stack in stacks)


def test_calls_without_a_site_are_counted_and_said(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page cache asks for what sendfile(2) takes, and no thread waits for it in a call of its own."""
    sending = "import os, sys; f = os.open(sys.argv[1], 0); os.pread(f, 7, 30000); os.sendfile(os.open(os.devnull, 1), f, 0, 99)"
    out = tmp_path / "out"
    fmrw.run([sys.executable, "-c", sending, directory / FILE], directory, sites=True, output=out)
    capsys.readouterr()
    for options in ([], ["--folded"], ["--speedscope"]):
        assert main(["sites", str(out), *options]) == 0
        assert "1 call has no site, and is not counted here." in capsys.readouterr().err
    assert main(["sites", str(out), "--function", "<module>"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "1 call from 1 site asked for 7 bytes" in shown.out


def test_a_recording_without_sites_says_so(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = fmrw.run(
        ["cat", directory / FILE], directory, output=tmp_path / "out", stdout=subprocess.PIPE, watch=_swallow
    ).trace
    assert trace.sites.schema == schema.SITES
    assert trace.sites.height == 0
    assert trace.events["site"].null_count() == trace.events.height
    assert not (tmp_path / "out" / store.SITES).exists()
    assert main(["sites", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "fmrw: this recording has no call sites; record with --sites.\n"


def _swallow(_mount: fmrw.Mount, child: subprocess.Popen[bytes]) -> int:
    child.communicate()
    return child.returncode


def test_a_saved_trace_keeps_its_sites(trace: fmrw.Trace, tmp_path: Path) -> None:
    saved = fmrw.load(trace.save(tmp_path / "saved"))
    assert saved.sites.equals(trace.sites)
    assert saved.events["site"].equals(trace.events["site"])


def test_hostile_names_are_shown_safely(trace: fmrw.Trace) -> None:
    evil = trace.sites.with_columns(function=pl.lit("a;b\x1b[31m\n<script>"), module=pl.lit("/x\x1b]0;y"))
    assert trace.folder is not None
    evil.write_parquet(trace.folder / store.SITES)
    told = subprocess.run([FMRW, "sites", str(trace.folder)], capture_output=True, check=True).stdout
    assert b"\x1b" not in told
    folded = subprocess.run(
        [FMRW, "sites", str(trace.folder), "--folded"], capture_output=True, check=True
    ).stdout
    assert b"\x1b" not in folded
    assert len(folded.splitlines()) == 2


def test_damaged_debug_information_gives_no_line_and_no_error(programs: Path, tmp_path: Path) -> None:
    import random  # noqa: PLC0415

    noise = random.Random(4)  # noqa: S311 - the same every time
    whole = bytearray((programs / "lines").read_bytes())
    fd = os.open(programs / "lines", os.O_RDONLY)
    build_id = elf.read(fd).build_id
    os.close(fd)
    frames = [{"site": 1, "depth": 1, "module": "", "build_id": "", "offset": 0x1180 + n, "function": "", "quality": "cfi", "line": ""} for n in range(40)]  # fmt: skip
    for _case in range(25):
        data = bytearray(whole)
        for _flip in range(300):
            data[noise.randrange(0x2000, len(data))] = noise.randrange(256)
        path = tmp_path / "damaged"
        path.write_bytes(data)
        rows = [{**frame, "module": str(path), "build_id": build_id} for frame in frames]
        named = naming.named(pl.DataFrame(rows, schema=schema.SITES))
        assert named.height == len(rows)


def test_charts_are_coloured_by_function_where_call_sites_were_recorded(
    trace: fmrw.Trace, directory: Path, tmp_path: Path
) -> None:
    for name in ("timeline", "access-order", "lanes"):
        text = json.dumps(trace.chart(FILE, name, functions=True).to_dict(), ensure_ascii=False)
        assert "lines!read_header" in text
        assert "lines!read_entry ← " in text
        assert "lines!read_header" not in json.dumps(trace.chart(FILE, name).to_dict())
    without = fmrw.run(["cat", directory / FILE], directory).trace
    with pytest.raises(BadInput, match=r"no call sites.*record with --sites"):
        without.chart(FILE, "timeline", functions=True)
    with pytest.raises(FigureError, match="coloured by function; add `--chart` with some of timeline"):
        reports.write(trace, tmp_path, ["svg"], style=reports.Style(("strip",), functions=True))
    assert main(["report", str(tmp_path / "out"), FILE, "-o", str(tmp_path), "--format", "svg", "--chart", "lanes", "--functions"]) == 0  # fmt: skip
    assert "lines!read_entry" in (tmp_path / f"{FILE}-lanes.svg").read_text()
