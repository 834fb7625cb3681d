"""Functions of Python: everywhere a byte is said to be asked for by the innermost of these, and not by what CPython calls for it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

import fmrw
from fmrw.analysis.sites import stacks
from fmrw.cli.main import main
from fmrw.explorer.explorer import explore

if TYPE_CHECKING:
    from pathlib import Path

FILE = "polyglot.pdf"
PROGRAM = """
import sys

def read_header(file): return file.read(32)

def read_entry(file):
    file.seek(100)
    file.read(16)
    file.read(16)

def parse():
    with open(sys.argv[1], "rb", buffering=0) as file:
        read_header(file)
        read_entry(file)

parse()
"""
C, SO = "/lib/libc.so.6", "/lib/libpython3.11.so.1.0"


def chain(*frames: tuple[str, str] | str) -> stacks.Chain:
    """Make a chain: functions of Python by their names, others as module and name."""
    return tuple(
        stacks.Frame("/x/prog.py", 0, frame, "python", "") if isinstance(frame, str) else stacks.Frame(frame[0], 0, frame[1], "cfi", "")
        for frame in frames
    )  # fmt: skip


LOOP = (SO, "_PyEval_EvalFrameDefault")
END = (LOOP, (SO, "Py_RunMain"), ("/bin/python3", "_start"))
READ = ((C, "read"), (SO, "_Py_read"), (SO, "_io_FileIO_readinto"))


def called(*chains: stacks.Chain) -> list[str]:
    return list(stacks.names(dict(enumerate(chains))).values())


def test_functions_of_python_are_the_programs_own() -> None:
    made = (chain(*READ, "header", "main", *END), chain(*READ, LOOP, "entry", LOOP, "main", *END))
    assert called(*made) == ["prog.py!header", "prog.py!entry"]
    assert called(made[0]) == ["prog.py!header"]
    sql = chain((C, "pread"), ("/lib/libsqlite3.so.0", "unixRead"), (SO, "call"), "query", "main", *END)
    assert called(sql) == ["prog.py!query"]
    assert [frame.name for frame in stacks.own(sql)] == ["query", "main"]
    plain = chain((C, "read"), ("/bin/p", "f"), (C, "qsort"), ("/bin/p", "main"), (C, "start"))
    assert [frame.name for frame in stacks.own(plain)] == ["f", "qsort", "main"]


def test_where_all_stacks_read_by_one_function_the_next_is_named_in_which_they_part() -> None:
    one, other = ("take", LOOP, "header", "main"), ("take", (SO, "call"), "entry", "main")
    made = [chain(*READ, *frames, *END) for frames in (one, other)]
    assert called(*made) == ["prog.py!header", "prog.py!entry"]


def test_stacks_that_never_part_are_called_by_their_innermost_function() -> None:
    python = chain(*READ, "header", "main", *END)
    assert called(python, python) == ["prog.py!header"] * 2
    program = chain((C, "read"), ("/bin/p", "f"), ("/bin/p", "main"), ("/bin/p", "_start"))
    assert called(program, program) == ["p!f"] * 2


def test_a_chain_in_one_line_begins_at_the_program_or_at_a_library_that_it_uses() -> None:
    def line(*frames: tuple[str, str] | str) -> list[str]:
        return [frame.name for frame in stacks.asking(chain(*frames))]

    assert line(*READ, "header", LOOP, "main", LOOP) == ["header", LOOP[1], "main", LOOP[1]]
    library = ("/lib/libsqlite3.so.0", "unixRead")
    assert line((C, "pread"), library, (SO, "call"), "query", LOOP) == ["unixRead", "call", "query", LOOP[1]]
    assert line((C, "read"), library, (C, "start")) == ["unixRead"]
    assert line("alone") == ["alone"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> fmrw.Trace:
    folder = tmp_path_factory.mktemp("python")
    (folder / "parser.py").write_text(PROGRAM)
    (folder / "in").mkdir()
    (folder / "in" / FILE).write_bytes(bytes(1000))
    command = [sys.executable, folder / "parser.py", folder / "in" / FILE]
    fmrw.run(command, folder / "in", sites=True, output=folder / "out")
    return fmrw.load(folder / "out")


@pytest.mark.mount
def test_every_door_names_them(
    recorded: fmrw.Trace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"parser.py!read_header", "parser.py!read_entry"}
    report = recorded.site_report(FILE)
    assert dict(report.group_by("function").agg(pl.col("bytes").sum()).rows()) == {
        "parser.py!read_header": 32, "parser.py!read_entry": 32
    }  # fmt: skip
    view = explore(recorded, FILE, colour="function")
    assert {label for _, label in view.scene.colouring.entries()} >= names
    asked = list(view.recorded.call_sites.functions)
    assert set(asked[:4]) == names | {"parser.py!parse", "parser.py!<module>"}
    assert any(name.endswith("!_PyEval_EvalFrameDefault") for name in asked[4:])
    assert "asked by parser.py!read_header ← parser.py!parse" in view.tell_range(0, 1)
    view.functions = ("parser.py!read_entry",)
    gaps = recorded.gap_report(FILE).sort("start")
    assert gaps["last_read_by"].to_list() == ["parser.py!read_header", "parser.py!read_entry"]
    described = tmp_path / "parts.csv"
    described.write_text("start,end,name\n0,32,header\n100,132,entry\n")
    assert recorded.functions_by_part(FILE, described).select("part", "function").rows() == [
        ("header", "parser.py!read_header"), ("entry", "parser.py!read_entry")
    ]  # fmt: skip
    for name in ("timeline", "lanes"):
        text = json.dumps(recorded.chart(FILE, name, functions=True).to_dict(), ensure_ascii=False)
        assert all(f'"{each}"' in text for each in names)
        assert "parser.py!read_entry ← parser.py!parse" in text
    assert main(["sites", str(recorded.folder), FILE, "--json"]) == 0
    assert {site["called"] for site in json.loads(capsys.readouterr().out)["sites"]} == names
