"""Call sites are those that `strace -k` tells in the same run, frame by frame; where a program has no tables, guesses say that they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from straced import compared

import fmrw
from fmrw.session import sites

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.mount
HERE = Path(__file__).parent
PROGRAMS = {
    "unzip": "unzip -l polyglot.pdf",
    "unzip, extracting": "unzip -o polyglot.pdf",
    "7z": "7z t hidden-png.zip",
    "bsdtar": "bsdtar tf notes.tar.gz",
    "tar": "tar xzf notes.tar.gz",
    "gzip": "gzip -k polyglot.pdf",
    "file": "file polyglot.pdf",
    "pdftotext": "pdftotext polyglot.pdf out.txt",
    "qpdf": "qpdf --check polyglot.pdf",
    "ripgrep": "rg --no-mmap -c PDF polyglot.pdf",
    "perl": "perl -ne 1 polyglot.pdf",
    "sqlite3": "sqlite3 x.db 'create table t(a); insert into t values(1); select * from t'",
    "objdump": "cp /bin/true . && objdump -d true",
    "xz": "xz -k polyglot.pdf && xz -t polyglot.pdf.xz",
    "python": f"{sys.executable} -c \"open('polyglot.pdf', 'rb').read()\"",
    "git": "git init -q g",
    "md5sum": "md5sum polyglot.pdf",
}


def assert_same(directory: Path, command: list[str], log: Path) -> fmrw.Trace:
    theirs, ours, trace = compared(directory, command, log)
    assert theirs
    assert ours == theirs
    assert set(trace.sites["quality"]) <= {"cfi", "python", "fault"}
    assert trace.facts["without_sites"] == []
    return trace


@pytest.mark.parametrize("script", PROGRAMS.values(), ids=PROGRAMS)
def test_chains_of_programs(script: str, directory: Path, tmp_path: Path) -> None:
    assert_same(directory, ["sh", "-c", f"cd {directory} && {{ {script} ; }} >/dev/null"], tmp_path / "log")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Compile a program with options, once; give its path."""
    folder = tmp_path_factory.mktemp("stackful")

    def make(*options: str, source: str = "stackful.c", compiler: str = "cc") -> str:
        program = folder / "".join(c if c.isalnum() else "_" for c in " ".join((source, *options)))
        if not program.exists():
            subprocess.run([compiler, *options, "-o", program, HERE / source, "-pthread"], check=True)
        return str(program)

    return make


WAYS = {
    "as usual": ("-O2",),
    "not optimised": ("-O0",),
    "frame pointers": ("-O2", "-fno-omit-frame-pointer"),
    "at fixed addresses": ("-O2", "-no-pie"),
    "stripped": ("-O2", "-s"),
    "for size": ("-Os",),
}
WITH_FRAME_POINTERS = {"-O0", "-fno-omit-frame-pointer"}
KINDS = ("plain", "rooms", "signals", "threads", "children", "contexts", "callbacks", "other user")


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_chains_of_stacks_of_every_kind(
    kind: str, options: tuple[str, ...], made: Callable[..., str], directory: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    theirs, ours, trace = compared(directory, [made(*options), kind, str(directory / "polyglot.pdf")], log)
    assert theirs
    assert ours == theirs
    guessed = set(trace.sites["quality"]) - {"cfi", "fault"}
    assert guessed == ({"scan"} if WITH_FRAME_POINTERS & set(options) else set())


def test_stacks_deeper_than_anybody_shows_are_cut(
    made: Callable[..., str], directory: Path, tmp_path: Path
) -> None:
    program = [made("-O2"), "deep", str(directory / "polyglot.pdf")]
    theirs, ours, trace = compared(directory, program, tmp_path / "log")
    assert ours == theirs
    assert trace.sites["depth"].max() == 63
    cut = [len(site["frames"]) for site in sites.told(trace)["sites"] if site["cut"]]
    assert cut
    assert set(cut) == {64}


# Programs without shared libraries, where strace gives no stacks: gdb does

_GDB = """
import gdb
gdb.execute("handle SIGURG nostop noprint pass")
for setting in ("pagination off", "backtrace past-main on", "backtrace past-entry on"):
    gdb.execute(f"set {setting}")
gdb.execute("catch syscall pread64")
gdb.execute("run")
pid = gdb.selected_inferior().pid
lines = [line.split() for line in open(f"/proc/{pid}/maps")]
program = gdb.current_progspace().filename
base = min(int(line[0].split("-")[0], 16) for line in lines if line[-1] == program)
stacks = []
while gdb.selected_inferior().pid:
    frame, stack = gdb.newest_frame(), []
    while frame is not None and len(stack) < 64:
        if frame.type() != gdb.INLINE_FRAME:
            stack.append(frame.pc() - base)
        outermost = (frame.name() or "").startswith("runtime.goexit")
        frame = None if outermost else frame.older()
    stacks.append(stack)
    gdb.execute("continue")  # it stops where the call ends
    gdb.execute("continue")
print("stacks", stacks[:])
"""


@pytest.mark.parametrize(
    "options", [("-O2", "-static"), ("-O2", "-static", "-s"), ("-O2", "-static-pie")], ids=" ".join
)
@pytest.mark.parametrize("kind", ["rooms", "callbacks"])
def test_chains_of_programs_linked_statically(
    kind: str, options: tuple[str, ...], made: Callable[..., str], directory: Path, tmp_path: Path
) -> None:
    trace = assert_as_gdb([made(*options), kind, str(directory / "polyglot.pdf")], directory, tmp_path)
    assert set(trace.sites["quality"]) == {"cfi"}


def assert_as_gdb(command: list[str], directory: Path, tmp_path: Path) -> fmrw.Trace:
    """Run a program under gdb with its sites recorded, and compare the stacks of its pread64."""
    script = tmp_path / "script.py"
    script.write_text(_GDB)
    said = tmp_path / "said"
    gdb = ["gdb", "-nx", "-batch", "-x", str(script), "--args", *command]
    trace = fmrw.run(["sh", "-c", f'exec "$@" >{said}', "sh", *gdb], directory, sites=True).trace
    theirs = [
        line.removeprefix("stacks ") for line in said.read_text().splitlines() if line.startswith("stacks")
    ]
    stacks = json.loads(theirs[0])
    assert stacks
    rows = trace.events.filter(op="read", process=Path(command[0]).name[:15]).filter(
        pl.col("requested") < 4096
    )
    ours = [[*trace.sites.filter(site=site).sort("depth")["offset"]] for site in rows["site"]]
    assert ours == stacks
    return trace


@pytest.mark.soak
@pytest.mark.parametrize("options", [[], ["-ldflags", "-w"]], ids=["as usual", "without debug information"])
def test_chains_of_go(options: list[str], directory: Path, tmp_path: Path) -> None:
    """By the table that Go's own runtime uses, which stripped programs have, too."""
    source, program = HERE / "reading.go", tmp_path / "reading"
    go = {
        "GO111MODULE": "off",
        "GOCACHE": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
    }
    subprocess.run(["go", "build", *options, "-o", program, source], check=True, env=go)
    command = [str(program), str(directory / "polyglot.pdf")]
    trace = (
        assert_as_gdb(command, directory, tmp_path)
        if not options
        else fmrw.run(command, directory, sites=True).trace
    )
    assert set(trace.sites["quality"]) <= {"gopclntab", "cfi"}
    names = {
        tuple(trace.sites.filter(site=site, depth=depth)["function"][0] for depth in (6, 7))
        for site in trace.events.filter(op="read", requested=16)["site"]
    }
    assert names == {("main.(*parser).entry", "main.(*parser).directory")}


@pytest.mark.parametrize("options", [["-static"], []], ids=["static", "dynamic"])
def test_chains_through_musl_are_guessed_and_say_so(
    options: list[str], directory: Path, tmp_path: Path
) -> None:
    """Its library has no tables; the program has. Every frame behind one without is marked."""
    program = tmp_path / "reading"
    subprocess.run(["musl-gcc", "-O1", *options, "-o", program, HERE / "readers.c"], check=True)
    trace = fmrw.run([program, directory / "polyglot.pdf"], directory, sites=True).trace
    chains = []
    for site in trace.events.filter(op="read", requested=16)["site"]:
        frames = trace.sites.filter(site=site, module=str(program)).sort("depth")
        chains.append(dict(frames.select("function", "quality").rows()))
    assert len(chains) == 3
    for chain in chains:
        names = [name for name in chain if name in ("fetch", "read_entry", "read_directory", "main")]
        assert names == ["fetch", "read_entry", "read_directory", "main"]
        assert chain["fetch"] == "scan"  # found behind a frame without a table
        assert chain["read_entry"] == "cfi"
