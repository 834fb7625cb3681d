"""Parquet files from strangers and from disks that went bad: rows, or one error of ours, in bounded memory and silence."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_store import recorded

from fmrw.errors import SessionError
from fmrw.trace import schema, store
from fmrw.trace.parquet import claims, tables, thrift

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A sealed session."""
    made = recorded(tmp_path / "s", events=400)
    store.seal(made)
    return made


# Flips and cuts

USE = """
    import sys, warnings
    import fmrw
    from fmrw.errors import FmrwError
    warnings.simplefilter("error")
    for line in sys.stdin:
        try:
            trace = fmrw.load(line.rstrip("\\n"))
            rows = trace.events.height
            trace.processes
            for path in trace.files["path"]:
                trace.coverage(path), trace.gaps(path), trace.of(path)
            print("rows", rows, flush=True)
        except FmrwError as error:
            print("error", error, flush=True)
"""


def use(folders: list[Path], *, tail: str = "") -> tuple[list[str], str]:
    """Load recordings in another process and ask everything of them; give what came of each, and what was on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(tail) + textwrap.dedent(USE)], input="\n".join(map(str, folders)),
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    return done.stdout.splitlines(), done.stderr


def copies(session: Path, changed: str, contents: list[bytes]) -> list[Path]:
    """Make a session of each content of one of its files; the others are the same files."""
    made = []
    for number, content in enumerate(contents):
        folder = session.with_name(f"{changed}-{number}")
        folder.mkdir()
        for file in session.iterdir():
            if file.name == changed:
                (folder / changed).write_bytes(content)
            else:
                os.link(file, folder / file.name)
        made.append(folder)
    return made


def flipped(good: bytes, count: int) -> list[bytes]:
    chance = random.Random(count)  # noqa: S311 - a sequence, not a secret
    made = []
    for _ in range(count):
        data = bytearray(good)
        for _ in range(chance.choice([1, 1, 3])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        made.append(bytes(data))
    return made


@pytest.mark.parametrize(("name", "flips"), [(store.EVENTS, 300), (store.PROCESSES, 100)])
def test_flips_and_cuts_end_in_rows_or_in_one_line_and_nothing_on_the_terminal(
    session: Path, name: str, flips: int
) -> None:
    good = (session / name).read_bytes()
    cuts = [good[: len(good) * part // 40] for part in range(40)]
    said, errors = use(copies(session, name, [*flipped(good, flips), *cuts]))
    assert len(said) == flips + 40
    assert errors == ""
    assert all(line.startswith("error") for line in said[flips:]), "a file that was cut never loads"
    refused = [line for line in said if line.startswith("error")]
    assert 40 + flips // 10 < len(refused) < 40 + flips
    assert all(line.endswith(("restore it from a copy.", "Record again.")) for line in refused)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_structure_or_a_value_error(data: bytes) -> None:
    reader = thrift.Reader(data)
    try:
        reader.struct()
    except ValueError:
        return
    assert reader.place <= len(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cut short"),
        (b"\x15", "cut short"),
        (b"\x15\x02", "cut short"),
        (b"\x15\x80", "cut short"),
        (b"\x15" + b"\x80" * 9 + b"\x01", "cut short"),  # ten bytes are a number
        (b"\x15" + b"\x80" * 10 + b"\x01\x00", "a number without end"),
        (b"\x18" + b"\x80" * 10 + b"\x01\x00", "a number without end"),
        (b"\x18\x05ab", "5 bytes of text"),
        (b"\x19\xf5\x7f", "a list of 127 elements"),
        (b"\x1b\x00", "a value of kind 11"),
        (b"\x1c" * 40, "nested too deeply"),
        (b"\x05\x01\x02\x00", "a field of number -1"),
        (b"\x05\x00\x02\x00", "a field of number 0"),
        (b"\x05" + b"\x80\x80\x04" + b"\x02\x00", "a field of number 32768"),
        (b"\x05" + b"\xfe\xff\x03" + b"\x02\x15\x02\x00", "a field of number 32768"),
    ],
)
def test_what_is_no_structure_is_told(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        thrift.Reader(data).struct()


def test_a_structure_is_read_as_it_was_written() -> None:
    nested = b"\x15\x01\x00"  # field 1: -1
    data = (
        b"\x15\x02"  # 1: 1
        b"\x26\xfe\xff\xff\xff\x0f"  # 3: 2**31 - 1
        b"\x18\x02ab"  # 4: text
        b"\x11\x12"  # 5: true, 6: false
        b"\x1c" + nested  # 7
        + b"\x19\x25\x02\x04"  # 8: [1, 2]
        + b"\x19\x2c" + nested + nested  # 9
        + b"\x19\x21\x01\x02"  # 10: [true, false]
        + b"\x13\x80" + b"\x17" + b"12345678"  # 11: a byte, 12: a double
        + b"\x05\xfe\xff\x03" + b"\x02"  # 32767: 1
        + b"\x00" + b"rest"
    )  # fmt: skip
    reader = thrift.Reader(data)
    assert reader.struct() == {
        1: 1, 3: 2**31 - 1, 4: b"ab", 5: True, 6: False, 7: {1: -1}, 8: [1, 2], 9: [{1: -1}, {1: -1}],
        10: [True, False], 11: 128, 12: b"12345678", 32767: 1,
    }  # fmt: skip
    assert data[reader.place :] == b"rest"


# Claims


def varint(number: int) -> bytes:
    made = b""
    while number > 127:
        made += bytes([number & 127 | 128])
        number >>= 7
    return made + bytes([number])


def struct(*fields: tuple[int, object]) -> bytes:
    """Encode a structure: (field number, int or bytes or list of encoded structures or an encoded structure as a tuple)."""
    made, before = b"", 0
    for number, value in fields:
        kind = {int: 6, bytes: 8, list: 9, tuple: 12}[type(value)]
        made += bytes([(number - before) << 4 | kind])
        before = number
        if isinstance(value, int):
            made += varint(value << 1)
        elif isinstance(value, bytes):
            made += varint(len(value)) + value
        elif isinstance(value, list):
            made += bytes([0xFC]) + varint(len(value)) + b"".join(value)
        else:
            made += value[0]
    return made + b"\0"


def table(
    *, rows: int = 1, group_rows: int | None = None, values: int | None = None, page_values: int | None = None, unfolded: int = 8,
    folded: int = 8, chunk: int | None = None, place: int = 4, groups: int = 1, kind: int = 0, footer: int | None = None, padding: int = 0,
) -> bytes:  # fmt: skip
    """Make a file of one column of integers that claims what it is told to; without being told, what is true."""
    group_rows = rows if group_rows is None else group_rows
    values = group_rows if values is None else values
    header = struct(
        (1, kind),
        (2, unfolded),
        (3, folded),
        (5, (struct((1, values if page_values is None else page_values), (2, 0)),)),
    )
    body = b"PAR1" + header + bytes(8)
    column = struct(
        (1, 2),
        (3, [varint(1) + b"x"]),
        (4, 0),
        (5, values),
        (6, 8),
        (7, len(body) - 4 if chunk is None else chunk),
        (9, place),
    )
    column = column.replace(b"\x29\xfc\x01\x01x", b"\x29\x18\x01x")  # a list of strings, not of structures
    group = struct((1, [struct((3, (column,)))]), (2, 8), (3, group_rows))
    leaves = [struct((4, b"r"), (5, 1)), struct((1, 2), (3, 0), (4, b"x"))]
    data = struct((1, 1), (2, leaves), (3, rows), (4, [group] * groups))
    return (
        body
        + bytes(padding)
        + data
        + (len(data) if footer is None else footer).to_bytes(4, "little")
        + b"PAR1"
    )


HUGE = 10_000_000_000
CLAIMS = {
    "rows": (table(rows=HUGE), "rows in"),
    "rows in one group": (table(rows=0, group_rows=HUGE), "rows differ"),
    "values": (table(values=HUGE), "number of values"),
    "values of a page": (table(page_values=HUGE), "number of values"),
    "a page": (table(unfolded=HUGE), "a page claims 10,000,000,000 bytes"),
    "a page that is folded": (table(folded=HUGE), "beyond its column"),
    "a column": (table(chunk=HUGE), "outside"),
    "a place": (table(place=HUGE), "outside"),
    "metadata": (table(footer=0xFFFFFFF0), "bytes of metadata"),
    "metadata that are none": (table() + b"\xff" * 1000 + (900).to_bytes(4, "little") + b"PAR1", "a value of kind 15"),
    "pages used again and again": (table(rows=100, group_rows=1, groups=100, unfolded=100 << 20), "unfold into more"),
    "rows to decode at once": (table(rows=1 << 23, padding=4 << 20), "8,388,608 rows in one group"),
    "columns": (table().replace(b"H\x01r\x16\x02", b"H\x01r\x16\x04"), "nested"),
    "an unknown page": (table(kind=9), "unknown kind"),
}  # fmt: skip


def test_the_file_that_claims_what_is_true_passes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(table())
    with (tmp_path / "x").open("rb") as file:
        assert claims.check(file.fileno()) == 1


@pytest.mark.parametrize(("more", "passes"), [(0, True), (1, False)])
def test_a_large_file_may_unfold_into_a_thousand_times_its_bytes(
    more: int, *, passes: bool, tmp_path: Path
) -> None:
    padding = 20 << 10  # of what is more than every file may
    size = len(table(unfolded=20_000_000, padding=padding))
    data = table(unfolded=size * 1000 + more, padding=padding)
    assert len(data) == size
    assert size * 1000 > 16 << 20
    (tmp_path / "x").write_bytes(data)
    with (tmp_path / "x").open("rb") as file:
        if passes:
            assert claims.check(file.fileno()) == 1
        else:
            with pytest.raises(ValueError, match="unfold into more"):
                claims.check(file.fileno())


@pytest.mark.parametrize("claim", CLAIMS)
def test_claims_that_cannot_be_are_refused(tmp_path: Path, claim: str) -> None:
    data, reason = CLAIMS[claim]
    (tmp_path / "x.parquet").write_bytes(data)
    with pytest.raises(SessionError, match=reason):
        store.scan_events(tmp_path / "x.parquet")


def test_pages_are_tried_when_they_are_read_and_no_others(session: Path, tmp_path: Path) -> None:
    rows = store.scan(session).collect()
    path = tmp_path / "x.parquet"
    rows.write_parquet(path, row_group_size=100)
    with path.open("rb+") as file:
        claimed = claims.Claims(file.fileno())
        claimed.check(file.fileno())
        assert claimed.at_ends(10) == {0, 3}
        assert claimed.at_ends(101) == {0, 1, 2, 3}
        chunk = len(schema.EVENTS) + list(schema.EVENTS).index("path")  # of the second group
        file.seek(claimed._places[2 * chunk])
        file.write(b"\xff" * 8)
    assert tables.rows(path, pl.Schema({"seq": pl.Int64()})).height == 400
    assert tables.ends(path, schema.EVENTS, 10).equals(pl.concat([rows.head(10), rows.tail(10)]))
    refused = (
        lambda: tables.rows(path, pl.Schema({"path": pl.String()}), most=1),
        lambda: tables.ends(path, schema.EVENTS, 150),
        lambda: tables.each(path, schema.EVENTS, list),
        lambda: tables.scan(path, schema.EVENTS),
        lambda: tables.scan(path, pl.Schema({"seq": pl.Int64()})),
    )
    for read in refused:
        for _ in range(2):  # and what was refused once is refused again
            with pytest.raises(SessionError, match="is damaged"):
                read()


LIMITED = """
    import resource, sys
    import fmrw
    fmrw.load(sys.stdin.readline().rstrip()).files
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (700 << 20), used + (700 << 20)))
"""


def test_bombs_are_refused_in_bounded_memory(session: Path, tmp_path: Path) -> None:
    """Give those that polars itself would unfold a process with 700 MB of room, and everything that claims too much as well."""
    for name, (data, _reason) in CLAIMS.items():
        (tmp_path / f"{name}.parquet").write_bytes(data)
    row = store.scan(session).head(1).collect()
    long = row.with_columns(path=pl.lit("x" * (140 << 20)))
    words = pl.select(path=pl.int_range(300).cast(pl.String) + "y" * 140_000)
    rows = pl.select(n=pl.int_range(1 << 20))
    frames = {
        "long": long,
        "words": row.drop("path").join(words, how="cross"),
        "many": row.join(rows, how="cross"),
    }
    for name, frame in frames.items():
        frame.select(schema.EVENTS.names()).write_parquet(
            tmp_path / f"{name}.parquet", compression="zstd", row_group_size=1 << 18
        )
    found = sorted(tmp_path.glob("*.parquet"))
    assert max(file.stat().st_size for file in found) < 5 << 20
    said, errors = use([session, *found], tail=LIMITED)
    assert len(said) == len(found), errors
    assert all(line.startswith("error") for line in said), said
    assert errors == ""


# Values that our own code could not bear


def missing(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(process=pl.when(pl.col("seq") > 5).then("process"))


def backwards(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(end=pl.col("start") - 1)


def before_it_began(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(start=pl.lit(-5, pl.Int64))


def after_the_calendar(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(time=pl.lit(1 << 62).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))


def without_end(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(path=pl.lit("x" * 200_000))


def unknown_operation(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(op=pl.lit("format"))


def text_for_numbers(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(size=pl.lit("much"))


def text_for_a_site(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(site=pl.lit("here"))


def too_large(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(pid=pl.lit(1 << 40))


UNBEARABLE = {
    missing: "values of process are missing", backwards: "a range cannot be", before_it_began: "a range cannot be",
    after_the_calendar: "a time is out of range", without_end: "a path is too long", unknown_operation: "damaged",
    text_for_numbers: "damaged", text_for_a_site: "damaged", too_large: "damaged",
}  # fmt: skip


@pytest.mark.parametrize("change", UNBEARABLE)
def test_values_that_cannot_be_are_told_when_the_file_is_opened(
    session: Path, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    change(store.scan(session).collect()).write_parquet(session / store.EVENTS)
    with pytest.raises(SessionError, match=UNBEARABLE[change]):
        store.scan(session)


def test_statistics_that_lie_hide_no_rows(session: Path) -> None:
    """Flip the greatest path in the statistics; who believed it would find no row of that name."""
    data = (session / store.EVENTS).read_bytes()
    before = store.scan(session).filter(pl.col("path") == "a").collect()
    place = data.rindex(b"\x01a", 0, data.rindex(b"ARROW:schema"))  # min_value of `path` in the footer
    lied = data[:place] + b"\x01z" + data[place + 2 :]
    (session / store.EVENTS).write_bytes(lied)
    assert store.scan(session).filter(pl.col("path") == "a").collect().equals(before)


def test_a_table_of_more_columns_in_another_order_is_read(session: Path) -> None:
    events = store.scan(session).collect()
    events.select(reversed(events.columns)).with_columns(note=pl.lit("x")).write_parquet(
        session / store.EVENTS
    )
    assert store.scan(session).collect().equals(events)


@pytest.mark.parametrize(
    "name", [b"odd*[a-z]?", b"sp ace", b"\xff\xfe", b"new\nline", b"{a,b}", b"~", b"%20", b"-o"]
)
def test_a_session_in_a_folder_of_any_name(tmp_path: Path, name: bytes) -> None:
    folder = recorded(tmp_path / os.fsdecode(name))
    before = store.scan(folder).collect()
    store.seal(folder)
    assert store.scan(folder).collect().equals(before)
    assert store.processes(folder).height == 1


def test_sealed_processes_that_are_missing_are_one_line(session: Path) -> None:
    (session / store.PROCESSES).unlink()
    with pytest.raises(
        SessionError, match=r"there is no processes\.parquet; bring the folder back, or record again\.$"
    ):
        store.processes(session)
    assert store.scan(session).collect().height == 400


# How it is tried


def test_a_file_is_tried_once_until_it_changes(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    chunk = claims._chunk
    monkeypatch.setattr(claims, "_chunk", lambda *place: tried.append(place) or chunk(*place))
    for _ in range(3):
        assert store.scan(session).collect().height == 400
    assert len(tried) == len(schema.EVENTS)
    (session / store.EVENTS).write_bytes((session / store.EVENTS).read_bytes()[:-1])
    with pytest.raises(SessionError):
        store.scan(session)


def test_one_frame_is_used_by_many_threads(session: Path) -> None:
    lazy = store.scan(session)
    expected = [lazy.filter(pl.col("seq") % 8 == part).collect() for part in range(8)]
    wrong: list[int] = []

    def ask(part: int) -> None:
        wrong.extend(
            part
            for _ in range(20)
            if not lazy.filter(pl.col("seq") % 8 == part).collect().equals(expected[part])
        )

    threads = [threading.Thread(target=ask, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_only_a_panic_is_kept_from_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with tables._silenced():
        os.write(2, b"somebody else's line\n")
    assert capfd.readouterr().err == "somebody else's line\n"
    with tables._silenced():
        os.write(2, b"thread '<unnamed>' panicked at src/lib.rs:1:1:\n")
    assert capfd.readouterr().err == ""
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_files_are_read_without_standard_error(session: Path) -> None:
    code = "import os, sys; from pathlib import Path; from fmrw.trace import store; os.close(2); print(store.scan(Path(sys.argv[1])).collect().height)"
    done = subprocess.run(
        [sys.executable, "-c", code, session], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout == "400\n"
