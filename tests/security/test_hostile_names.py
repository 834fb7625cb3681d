"""Names chosen by an enemy, of files and of processes: harmless on a terminal, in CSV, in a PDF, and as names of reports."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path, PurePath

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fmrw
from fmrw.session.reports import report_name
from fmrw.text import path_bytes

FILES = [
    b"\x1b[31mred\x1b[0m", b"\x1b]0;title\x07", b"\xef\xbf\xbe", b"\xff\xfe\x80", b"\xed\xa0\x80", "\u202egnp.exe".encode(),
    b"<img onerror=alert(1)>", b"</script><script>alert(1)<", b"=cmd|' -C calc'!A0", b"+1", b"@SUM(1)", b"a\nb", b"a\r\nb", b"a\tb",
    b"\\xff", b'"', b"%s%n%d", b"[red]markup[/red]", b"x" * 250, b"\x7f\xc2\x9b31m", "\u2028line".encode(), b"..x", b"-o",
]  # fmt: skip
PROCESSES = [
    b"\x1b[31m=1+1",
    b"</script>",
    b"=cmd|calc",
    b"\xef\xbf\xbe\xff",
    "\u202eab".encode(),
    b'a"b,c\nd',
    b"\x9b31m",
]
PROGRAM = """
import os, sys
names = [bytes.fromhex(name) for name in sys.argv[2].split(",")]
folder = os.fsencode(sys.argv[1])
for number, entry in enumerate(os.path.join(where, name) for where, _, files in os.walk(folder) for name in files):
    with open("/proc/self/comm", "wb", buffering=0) as comm:
        comm.write(names[number % len(names)])
    with open(entry, "rb", buffering=0) as file:
        file.read(5)
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in FILES:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        path.parent.mkdir(exist_ok=True)  # `</script>` is a file in a folder
        path.write_bytes(b"content of it")
    return folder


def _harmless(text: str) -> None:
    """No control, format, surrogate, private or unassigned character but line ends."""
    bad = {character for character in text if unicodedata.category(character)[0] == "C"} - {"\n"}
    assert not bad, sorted(map(ascii, bad))


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    names = ",".join(name.hex() for name in PROCESSES)
    return subprocess.run(
        [sys.executable, "-m", "fmrw", "run", folder, *options, "--", sys.executable, "-c", PROGRAM, folder, names],
        capture_output=True, check=False, env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "300"},
    )  # fmt: skip


@pytest.mark.mount
def test_the_table_shows_escapes(hostile: Path) -> None:
    done = _run(hostile)
    assert done.returncode == 0, done.stderr
    _harmless(done.stdout.decode())
    _harmless(done.stderr.decode())
    assert r"\x1b[31mred\x1b[0m" in done.stdout.decode()


@pytest.mark.mount
def test_a_frame_that_is_printed_shows_escapes(hostile: Path) -> None:
    """Polars prints text as it is; so the text of a recording acts on no terminal."""
    names = ",".join(name.hex() for name in PROCESSES)
    trace = fmrw.run([sys.executable, "-c", PROGRAM, hostile, names], hostile).trace
    with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=300, tbl_width_chars=400):
        _harmless("\n".join(map(str, (trace.events, trace.files, trace.processes))))
    assert {path_bytes(path) for path in trace.files["path"]} == set(FILES)
    assert trace.resolve(os.fsdecode(FILES[0])) == trace.resolve(r"\x1b[31mred\x1b[0m")


@pytest.mark.mount
def test_json_gives_names_back(hostile: Path) -> None:
    done = _run(hostile, "--json")
    assert done.returncode == 0, done.stderr
    _harmless(done.stdout.decode())
    told = {path_bytes(file["path"]) for file in json.loads(done.stdout)["files"]}
    assert told == set(FILES)


@pytest.mark.mount
def test_command_lines_are_told_as_file_names_are(tmp_path: Path) -> None:
    folder, out = tmp_path / "f", tmp_path / "o\udcfe"
    folder.mkdir()
    (folder / "\udcff").write_text("content")
    arguments = [sys.executable, "-m", "fmrw", "run", folder, "-o", out, "--json", "--", "cat", "f/\udcff"]
    done = subprocess.run(arguments, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout.removeprefix(b"content"))
    (process,) = told["processes"]
    assert (told["command"], process["cmdline"]) == (["cat", r"f/\xff"], r"cat f/\xff")
    kept = [told["session"], *told["reports"]]
    assert len(kept) == 3
    assert all(Path(os.fsdecode(path_bytes(name))).exists() for name in kept)
    table = subprocess.run(
        [*arguments[:4], folder, *arguments[-3:]], cwd=tmp_path, stdout=subprocess.PIPE, check=True
    )
    assert rb"cat f/\xff" in table.stdout


@pytest.mark.mount
def test_reports_stay_in_their_folder_and_are_whole(hostile: Path, tmp_path: Path) -> None:
    done = _run(hostile, "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    _harmless(done.stdout.decode())
    _harmless(done.stderr.decode())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile", "out"]
    sheets = [*(tmp_path / "out").rglob("*.csv")]
    pictures = [*(tmp_path / "out").rglob("*-heatmap.pdf")]
    assert len(sheets) == len(pictures) == len(FILES)
    for picture in pictures:
        assert picture.read_bytes().startswith(b"%PDF-")
        assert b"/JavaScript" not in picture.read_bytes()
    for sheet in sheets:
        _check_sheet(sheet)


def _check_sheet(sheet: Path) -> None:
    text = sheet.read_bytes().decode()
    _harmless(text.replace("\r\n", "\n"))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 1
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in rows[0].values())


@pytest.mark.mount
def test_reports_in_the_mount_are_made_for_any_name(hostile: Path) -> None:
    with fmrw.mount(hostile, reports="beside") as mount:
        listed = {os.fsencode(path.relative_to(hostile)) for path in hostile.rglob("*")}
        for name in FILES[::2]:  # a picture takes half a second
            path = os.fsencode(hostile) + b"/" + name
            Path(os.fsdecode(path)).read_bytes()
            assert name in listed
            if len(name) <= 200:
                assert name + b".csv" in listed
                assert Path(os.fsdecode(path + b".csv")).read_bytes().count(b"\n") == 3
                assert Path(os.fsdecode(path + b"-heatmap.pdf")).read_bytes().startswith(b"%PDF-")
        assert mount.facts()["faults"] == 0


PARTS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a",
        "~",
        "-",
        "\\x2e\\x2e",
        "\\x2f",
        "..\\x2f..",
        "session.json",
        "x" * 300,
        "\0",
        "\u202e",
    ]
)


@given(
    st.lists(PARTS | st.text(max_size=5), max_size=6).map("/".join), st.sampled_from([".csv", "-heatmap.pdf"])
)
@example("../../etc/passwd", ".csv")
@example("/etc/passwd", ".csv")
@example("\\x2e\\x2e/x", ".csv")
@example("..\\x2f..\\x2fx", ".csv")
def test_a_report_never_leaves_its_folder(path: str, suffix: str) -> None:
    name = report_name(path, suffix)
    assert not name.is_absolute()
    assert ".." not in PurePath(name).parts
    assert all(0 < len(os.fsencode(part)) <= 255 for part in name.parts)
    assert b"\0" not in os.fsencode(name)
    assert name.name.endswith(suffix)
    assert os.path.normpath(name) == str(name)
