"""Functions of Python on a call site are those that the program itself sees on its stack."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import fmrw
from fmrw.capture.sites import elf
from fmrw.capture.sites.interpreter import interpreter
from fmrw.capture.sites.python import line_of

PROGRAM = """
import json, sys

said = []

def seen():
    frame, found = sys._getframe(1), []
    while frame:
        found.append((frame.f_code.co_qualname, frame.f_lineno))
        frame = frame.f_back
    said.append(found)
    return 0

def read_header(file): return seen() or file.read(4)

def read_entry(file): return seen() or file.read(5)

class Parser:
    def run(self, file):
        for number in range(20):  # the same stack of the machine, and other functions
            (read_header, read_entry)[number % 2](file)
        list(map(lambda n: seen() or file.read(n), [6, 7]))
        next(self.steps(file))
        self.deeper(file, 30)

    def steps(self, file):
        yield seen() or file.read(8)

    def deeper(self, file, levels):
        return self.deeper(file, levels - 1) if levels else seen() or file.read(9)

    def __eq__(self, file): return self.run(file) or True

with open(sys.argv[1], "rb", buffering=0) as file:
    assert Parser() == file
with open(sys.argv[2], "w") as out:
    json.dump(said, out)
"""


@pytest.mark.mount
@pytest.mark.parametrize("threaded", [False, True])
def test_functions_are_those_that_the_program_sees(
    *, threaded: bool, directory: Path, tmp_path: Path
) -> None:
    program = tmp_path / "parser.py"
    text = PROGRAM.replace(
        "assert Parser() == file",
        "import threading; t = threading.Thread(target=Parser().run, args=(file,)); t.start(); t.join()",
    )
    program.write_text(text if threaded else PROGRAM)
    told = tmp_path / "told.json"
    command = [sys.executable, program, directory / "polyglot.pdf", told]
    trace = fmrw.run(command, directory, sites=True).trace
    wanted = [[tuple(each) for each in stack] for stack in json.loads(told.read_text())]
    reads = trace.events.filter(op="read", path="polyglot.pdf")
    assert reads["requested"].to_list() == [4, 5] * 10 + [6, 7, 8, 9]
    ours = []
    for site in reads["site"]:
        frames = trace.sites.filter(site=site, quality="python").sort("depth")
        ours.append(
            [(name, int(line.rpartition(":")[2])) for name, line in frames.select("function", "line").rows()]
        )
    assert ours == wanted
    files = set(trace.sites.filter(quality="python")["module"])
    assert str(program) in files
    assert trace.facts["faults"] == 0


@pytest.mark.mount
def test_a_thread_that_runs_no_python_has_no_functions_of_it(directory: Path) -> None:
    done = fmrw.run(
        ["cat", directory / "polyglot.pdf"], directory, sites=True, stdout=subprocess.PIPE, watch=_swallowed
    )
    assert "python" not in set(done.trace.sites["quality"])


def _swallowed(_mount: fmrw.Mount, child: subprocess.Popen[bytes]) -> int:
    child.communicate()
    return child.returncode


def test_lines_are_those_that_the_interpreter_gives() -> None:
    for function in (
        test_functions_are_those_that_the_program_sees,
        line_of,
        json.dumps,
        json.JSONEncoder.iterencode,
    ):
        code = function.__code__
        for index, (begin, *_rest) in zip(range(len(code.co_code) // 2), code.co_positions(), strict=False):
            assert line_of(code.co_linetable, code.co_firstlineno, index) == (begin or 0)


def test_tables_that_are_garbage_give_no_line() -> None:
    assert line_of(b"", 1, 0) == 0
    assert line_of(bytes([0xF7, 0x7F]) * 40, 1, 10) == 0
    assert line_of(b"\xff" * 100, 1, 10_000) == 0


def test_an_interpreter_of_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    path = next(each for each in holders() if each.exists())
    copy = Path(shutil.copy(path, tmp_path / "python3"))
    with copy.open("r+b", buffering=0) as file:
        found = elf.read(file.fileno())
        assert interpreter(file.fileno(), found, bytes(copy)) is not None
        at = found.offset_of(elf.symbols(file.fileno(), (b"Py_Version",))[b"Py_Version"][0])
        assert at is not None
        file.seek(at)
        file.write((3 << 24 | 14 << 16).to_bytes(4, "little"))
        assert interpreter(file.fileno(), found, bytes(copy)) is None


def holders() -> list[Path]:
    """Give the files that may hold this interpreter: a library, or the program."""
    library = sysconfig.get_config_var("INSTSONAME") or ""
    program = Path(sys.executable).resolve()
    folder = Path(sysconfig.get_config_var("LIBDIR") or "")
    return [folder / library, program] if ".so" in library else [program]
