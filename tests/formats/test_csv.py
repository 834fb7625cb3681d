from __future__ import annotations

import contextlib
import csv
import datetime as dt
import io
import os
import resource
import unicodedata
import warnings
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fmrw.errors import BadInput
from fmrw.formats.csv import log
from fmrw.formats.csv import names as csvnames
from fmrw.formats.csv.log import DamagedWarning, read_csv, write_csv
from fmrw.text import visible
from fmrw.trace import schema

if TYPE_CHECKING:
    from pathlib import Path

HEADER = '"Time","AccessDirection","Offset","Length","Filesize","ProcessID","ProcessName","ThreadID","Requested","Fidelity","Handle"'
ANCESTOR = '"Time","AccessDirection","Offset","Length","Filesize","ProcessID","ProcessName"'
ROW = '"2025-01-28T05:50:06.727741+00:00","read","10","20","100","7","7z","8","4096","byte","3"'
OLD_ROW = '"2025-01-28T05:50:06.727741+00:00","read","10","20","100","7","file"'
START = dt.datetime(2025, 1, 28, 5, 50, 6, 727741, tzinfo=dt.UTC)
HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@x",
    "\t=1",
    "\r=1",
    "'=1",
    "''",
    "\\x1b",
    "\x1b[31m",
    "\\x5cx41",
    "\\xff",
    "\u202eevil",
    "\ufffe",
    'a"b',
    "a\nb",
    "a,b",
    "a\\",
    "\\u202e",
    "\\U0010ffff",
    "\uff1d1",
    "",
    "日本",
]


def frame(**columns: list[object]) -> pl.DataFrame:
    height = len(next(iter(columns.values())))
    plain = {
        "seq": range(height),
        "time": [START + dt.timedelta(microseconds=at) for at in range(height)],
        "op": ["read"] * height,
        "path": ["dir/file.bin"] * height,
        "call": range(height),
        "start": [10] * height,
        "end": [30] * height,
        "requested": [4096] * height,
        "size": [100] * height,
        "fidelity": ["byte"] * height,
        "handle": [3] * height,
        "pid": [7] * height,
        "tid": [8] * height,
        "process": ["7z"] * height,
        "errno": [0] * height,
        "thread": columns.get("process", ["7z"] * height),
        "site": [None] * height,
    }
    return pl.DataFrame({**plain, **columns}, schema=schema.EVENTS)


def file(folder: Path, *lines: str, end: str = "\n", name: str = "file.bin.csv") -> Path:
    path = folder / name
    path.write_bytes(("\n".join(lines) + end).encode())
    return path


def test_header_and_row_are_written_as_promised(tmp_path: Path) -> None:
    write_csv(frame(seq=[0]), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == f"{HEADER}\n{ROW}\n"


def test_a_file_object_receives_the_same_bytes(tmp_path: Path) -> None:
    write_csv(frame(seq=[0, 1]), tmp_path / "x.csv")
    target = io.BytesIO()
    write_csv(frame(seq=[0, 1]), target)
    assert target.getvalue() == (tmp_path / "x.csv").read_bytes()


def test_only_reads_and_writes_that_worked_are_written(tmp_path: Path) -> None:
    events = frame(op=[*schema.OPS, "read"], errno=[0] * len(schema.OPS) + [5])
    write_csv(events, tmp_path / "x.csv")
    assert read_csv(tmp_path / "x.csv")["op"].to_list() == ["read", "write"]


def test_events_of_two_files_are_refused() -> None:
    with pytest.raises(BadInput, match="events of 2"):
        write_csv(frame(path=["a", "b"]), io.BytesIO())


def test_no_events_make_a_header_and_come_back_as_none(tmp_path: Path) -> None:
    write_csv(schema.empty(), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == f"{HEADER}\n"
    assert read_csv(tmp_path / "x.csv").equals(schema.empty())


events = st.lists(
    st.tuples(
        st.integers(0, 2**53).map(
            lambda micros: dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=micros)
        ),
        st.sampled_from(["read", "write"]),
        st.integers(0, 2**62),
        st.integers(0, 2**62),
        st.sampled_from(HOSTILE)
        | st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=15),
        st.sampled_from(["byte", "page"]),
        st.integers(0, 2**31 - 1),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=150)
@given(events)
def test_round_trip(tmp_path: Path, drawn: list[tuple[dt.datetime, str, int, int, str, str, int]]) -> None:
    times, ops, starts, lengths, names, fidelities, ids = (
        list(column) for column in zip(*drawn, strict=True)
    )
    before = frame(
        time=times, op=ops, start=starts, end=[a + b for a, b in zip(starts, lengths, strict=True)],
        process=names, fidelity=fidelities, pid=ids, tid=ids[::-1], handle=ids,
    )  # fmt: skip
    write_csv(before, tmp_path / "x.csv")
    after = read_csv(tmp_path / "x.csv", path="dir/file.bin")
    shown = pl.Series([visible(name) for name in names])
    assert after.equals(before.with_columns(process=shown, thread=shown))
    write_csv(after, tmp_path / "y.csv")
    assert read_csv(tmp_path / "y.csv", path="dir/file.bin").equals(after)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_harmless_in_the_file_and_comes_back(name: str) -> None:
    cell = csvnames.cell(name)
    assert csvnames.name(cell) == name
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))
    assert not any(unicodedata.category(character)[0] == "C" for character in cell)


@given(st.text())
def test_any_name_comes_back(name: str) -> None:
    if not any("\ud800" <= character <= "\udfff" for character in name):
        assert csvnames.name(csvnames.cell(name)) == name


def test_the_standard_library_reads_the_same(tmp_path: Path) -> None:
    names = ["7z", 'a"b', "a,b", "a\\"]
    write_csv(frame(process=names), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as stream:
        assert [row["ProcessName"] for row in csv.DictReader(stream)] == names


def test_the_ancestors_file_loads(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        ANCESTOR,
        OLD_ROW,
        OLD_ROW.replace('"file"', r'"a\"b\""'),
        OLD_ROW.replace('"file"', '"a\\"'),
    )
    got = read_csv(path)
    assert got.schema == schema.EVENTS
    assert got["process"].to_list() == ["file", 'a"b"', "a\\"]
    assert got.select("path", "start", "end", "requested", "pid", "tid", "fidelity", "handle", "time").row(0) == (
        "file.bin", 10, 30, 20, 7, 7, "page", 0, START,
    )  # fmt: skip


def test_the_ancestors_names_are_not_neutralised_ones(tmp_path: Path) -> None:
    assert read_csv(file(tmp_path, ANCESTOR, OLD_ROW.replace("file", "'x")))["process"].item() == "'x"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (
            "2025-01-28T05:50:06+00:00",
            START.replace(microsecond=0),
        ),  # the ancestor's isoformat() when it was 0
        ("2025-01-28T05:50:06.727741", START),
        ("2025-01-28 05:50:06.727741", START),
        ("2025-01-28T05:50:06.727741Z", START),
        ("2025-01-28T07:50:06.727741+02:00", START),
        ("2025-01-28T05:50:06.727+00:00", START.replace(microsecond=727000)),
    ],
)
def test_times_with_and_without_zone(tmp_path: Path, time: str, expected: dt.datetime) -> None:
    path = file(tmp_path, ANCESTOR, OLD_ROW, OLD_ROW.replace("2025-01-28T05:50:06.727741+00:00", time))
    assert read_csv(path)["time"].to_list() == [START, expected]


def test_columns_in_any_order_unknown_ones_and_no_quotes(tmp_path: Path) -> None:
    names, cells = HEADER.replace('"', "").split(","), ROW.replace('"', "").split(",")
    order = [6, 0, 10, 3, 1, 9, 2, 8, 4, 7, 5]
    path = file(
        tmp_path,
        ",".join(["Notes", *(names[at] for at in order)]),
        ",".join(["x", *(cells[at] for at in order)]),
    )
    expected = read_csv(file(tmp_path, HEADER, ROW, name="plain.csv"), path="file.bin")
    assert read_csv(path).equals(expected)


def test_blanks_around_the_names_of_columns_are_no_part_of_them(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"{HEADER.replace(',', ' , ').replace(chr(34), '')}\n{ROW}\n")
    assert read_csv(tmp_path / "x.csv").select("op", "start", "end", "process", "handle").rows() == [
        ("read", 10, 30, "7z", 3)
    ]


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "file.bin.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{ROW}\r\n{ROW}\r\n".encode())
    assert read_csv(path).height == 2


def test_the_path_is_the_files_name_or_given(tmp_path: Path) -> None:
    assert read_csv(file(tmp_path, HEADER, ROW))["path"].item() == "file.bin"
    assert read_csv(file(tmp_path, HEADER, ROW), path="a/b")["path"].item() == "a/b"
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")
    os.rename(file(tmp_path, HEADER, ROW), odd)  # noqa: PTH104 - pathlib has no undecodable names to offer
    assert read_csv(odd)["path"].item() == r"\xff"


@pytest.mark.parametrize(
    ("cell", "other", "reason"),
    [
        ('"20"', '"-20"', "ends before it starts"),
        ('"10"', '"-10"', "Offset -10 is negative"),
        ('"10"', '"ten"', "Offset 'ten' is not a whole number"),
        ('"10"', '"1e3"', "not a whole number"),
        ('"10"', '""', "Offset '' is not a whole number"),
        ('"10"', '"9223372036854775800"', "end beyond"),
        ('"10"', '"99999999999999999999"', "not a whole number"),
        ('"100"', '"-1"', "Filesize -1 is negative"),
        ('"7"', '"4294967296"', "ProcessID 4294967296 is larger"),
        ('"read"', '"open"', "AccessDirection 'open' is neither read nor write"),
        ('"byte"', '"bit"', "Fidelity 'bit' is neither byte nor page"),
        ("2025-01-28T05:50:06.727741+00:00", "yesterday", "Time 'yesterday' is not ISO 8601"),
        ("2025-01-28T05:50:06.727741+00:00", "2025-02-30T05:50:06.727741+00:00", "not ISO 8601"),
        ("2025-01-28T05:50:06.727741+00:00", "2025-01-28T05:50:06.-27741+00:00", "not ISO 8601"),
        ('"7z"', '"7\0z"', "NUL byte"),
        ('"7z"', f'"{"z" * 2000}"', "ProcessName has 2000 characters"),
        ('"7z",', "", "10 fields where the header has 11"),
        ('"7z",', '"7z","x",', "12 fields where the header has 11"),
        ('"7z"', '"7"z"', "expected after"),
        ('"7z"', '"7z', "expected after|unexpected end"),
    ],
)
@pytest.mark.parametrize("before", [0, 3])
def test_a_bad_row_is_named_by_number_and_reason(
    tmp_path: Path, cell: str, other: str, reason: str, before: int
) -> None:
    assert cell in ROW
    path = file(tmp_path, HEADER, *[ROW] * before, ROW.replace(cell, other, 1), ROW)
    with pytest.raises(BadInput, match=f"row {before + 1}: .*({reason}).*; correct or remove it."):
        read_csv(path)


def test_a_row_far_into_a_large_file_has_the_right_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_BLOCK", 1000)
    with pytest.raises(BadInput, match=r"row 501: .*negative"):
        read_csv(file(tmp_path, HEADER, *[ROW] * 500, ROW.replace('"10"', '"-1"'), ROW))


def test_blocks_are_cut_only_between_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [ROW, ROW.replace("7z", 'a\n""b\n'), ROW.replace("7z", "c\nd")] * 30
    expected = read_csv(file(tmp_path, HEADER, *rows))
    assert expected["process"].to_list() == ["7z", r'a\x0a"b\x0a', r"c\x0ad"] * 30
    for size in (1, 50, 333, 1000):
        monkeypatch.setattr(log, "_BLOCK", size)
        assert read_csv(file(tmp_path, HEADER, *rows)).equals(expected)


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(f"{HEADER}\n{ROW}\n".encode() + ROW.encode().replace(b"7z", b"\xff") + b"\n")
    with pytest.raises(BadInput, match=r"row 2: ProcessName .* is not UTF-8"):
        read_csv(path)


def test_two_missing_quotes_do_not_swallow_rows(tmp_path: Path) -> None:
    broken = ROW.replace('"7z"', '"7z')
    with pytest.raises(BadInput, match="row 2"):
        read_csv(file(tmp_path, HEADER, ROW, broken, ROW, broken, ROW))


@pytest.mark.parametrize(
    ("header", "row"), [(HEADER, ROW), (ANCESTOR, OLD_ROW), (ANCESTOR, OLD_ROW.replace("file", r"a\"b\"c"))]
)
def test_cut_anywhere_everything_before_the_cut_loads(tmp_path: Path, header: str, row: str) -> None:
    whole = f"{header}\n{row}\n{row}\n"
    expected = read_csv(file(tmp_path, header, row, row))
    path = tmp_path / "file.bin.csv"
    for length in range(len(header) + 1, len(whole)):
        path.write_text(whole[:length])
        complete = whole[:length].count("\n") - 1
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got = read_csv(path)
        if caught:
            assert [one.category for one in caught] == [DamagedWarning]
        assert got.height == complete if caught else got.height in (complete, complete + 1)
        assert got.equals(expected.head(got.height))
        assert caught or whole[length - 1] == "\n" or whole[length:] == "\n" or whole[length] == "\n"


def test_a_last_line_of_zeros_is_left_out_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(DamagedWarning, match="last line is incomplete"):
        assert read_csv(file(tmp_path, HEADER, ROW, "\0" * 4096, end="")).height == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("\n", "no column Time"),
        ("hello\nworld\n", "no column Time, AccessDirection"),
        (HEADER.replace(",", ";") + "\n", "no column"),
        (HEADER.replace("Offset", "offset") + "\n", "no column Offset"),
        (f'{HEADER},"Time"\n', "two columns of one name"),
        ("\0" * 100_000, "no column"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(BadInput, match=reason):
        read_csv(path)


def test_missing_files_directories_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (
        ("none", "No such file"),
        ("", "not a regular file"),
        ("pipe", "not a regular file"),
    ):
        with pytest.raises(BadInput, match=reason):
            read_csv(tmp_path / name)


@pytest.mark.parametrize("filler", ["x", "1,", '"', '",', "\\"])
@pytest.mark.parametrize("start", ["", f"{HEADER}\n{ROW}\n", f"{ANCESTOR}\n{OLD_ROW}\n"])
def test_one_endless_line_is_refused_in_bounded_memory(tmp_path: Path, filler: str, start: str) -> None:
    path = tmp_path / "x.csv"
    piece = filler.encode() * (2**20 // len(filler))
    with path.open("wb") as stream:
        stream.write(start.encode())
        for _ in range(64):
            stream.write(piece)
        stream.truncate(2**30)  # the rest is a hole of NUL bytes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput, match=r"x\.csv"):
        read_csv(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024  # KiB


mutations = st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), min_size=1, max_size=4)


@settings(max_examples=300)
@given(mutations, st.sampled_from([(HEADER, ROW), (ANCESTOR, OLD_ROW)]))
def test_damage_gives_an_error_a_warning_or_plausible_events(
    tmp_path: Path, changes: list[tuple[int, bytes]], kind: tuple[str, str]
) -> None:
    data = bytearray("\n".join([kind[0], *[kind[1]] * 3, ""]).encode())
    for at, replacement in changes:
        data[at : at + 1] = replacement
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with warnings.catch_warnings(), contextlib.suppress(BadInput):
        warnings.simplefilter("ignore", DamagedWarning)
        check(read_csv(path), data.count(b"\n"))


def check(got: pl.DataFrame, lines: int) -> None:
    assert got.schema == schema.EVENTS
    assert got.height <= lines
    assert got.filter((pl.col("start") < 0) | (pl.col("end") < pl.col("start"))).is_empty()
    assert not any(got.drop("site").null_count().row(0))


@settings(max_examples=200)
@given(st.binary(max_size=200))
@example(b"\x28\xb5\x2f\xfd")
@example(b"\x1f\x8b\x08\x00")
@example(b"\x78\x9c")
def test_fast_and_slow_agree(junk: bytes) -> None:
    """What polars takes, the strict reader takes in the same way."""
    names = HEADER.replace('"', "").split(",")
    for block in (junk, ROW.encode() + b"\n" + junk + b"\n", ROW.encode().replace(b"7z", junk) + b"\n"):
        fast = log._fast(block, log._Layout(names))
        if fast is not None:
            assert fast.equals(log.read_rows(block, names))
