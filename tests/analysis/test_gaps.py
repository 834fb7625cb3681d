"""Each column of the report against counting by hand, and the whole against what a real parser leaves unread."""

from __future__ import annotations

import errno
import io
import math
import os
import random
import re
import struct
import sys
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.analysis import bytestats, gaps, signatures
from fmrw.analysis.gaps import REPORT, report, unread
from fmrw.analysis.structure import structure
from fmrw.analysis.structure.parts import SCHEMA, Source
from fmrw.analysis.verdicts import Known
from fmrw.trace.schema import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).parents[2] / "data"
CONTENT_COLUMNS = ["entropy", "byte_class", "padding", "head_hex", "head_ascii", "magics", "magic_offsets"]
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17)
NOISE = random.Random(7).randbytes(1 << 16)  # noqa: S311 - the same noise every time


def frame(*bounds: tuple[int, int]) -> pl.DataFrame:
    return pl.DataFrame(bounds, schema={"start": pl.Int64, "end": pl.Int64}, orient="row")


def reads(bounds: Sequence[tuple[int, int]], op: str = "read") -> pl.DataFrame:
    rows = [{"seq": n, "op": op, "start": a, "end": b} for n, (a, b) in enumerate(bounds)]
    return pl.DataFrame(rows, schema={name: EVENTS[name] for name in ("seq", "op", "start", "end")})


def written(folder: Path, content: bytes) -> Path:
    path = folder / "sample"
    path.write_bytes(content)
    return path


def scanned(content: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, str]]:
    found, complete = signatures.scan(
        Source(io.BytesIO(content)), start, len(content) if end is None else end
    )
    assert complete
    return [tuple(magic) for magic in found]


# --- what a real parser leaves unread


class Watched(io.BytesIO):
    """A file in memory that writes down what is read from it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.log: list[tuple[int, int]] = []

    def read(self, size: int | None = -1) -> bytes:
        start = self.tell()
        content = super().read(size)
        self.log.append((start, start + len(content)))
        return content


def test_what_a_pdf_parser_ignores_is_named_as_a_zip_at_its_true_offset() -> None:
    path = DATA / "polyglot.pdf"
    watched = Watched(path.read_bytes())
    assert "try both" in "".join(page.extract_text() for page in pypdf.PdfReader(watched).pages)
    first = report(reads(watched.log), path.stat().st_size, path).row(0, named=True)
    hidden = path.read_bytes().find(b"PK\3\4")
    assert first["start"] < hidden < first["end"]
    assert (first["magics"][0], first["magic_offsets"][0]) == ("ZIP", hidden)
    # pypdf reads the end of the file, in which the directory stands, and none of the entries
    assert first["verdict"] == (
        f"a second format, ZIP, begins at {hidden:#x}: entry hidden.txt, entry noise.bin, never read; the ZIP's central directory was"
    )


def test_what_unzip_ignores_is_named_as_a_png_at_its_true_offset() -> None:
    path = DATA / "hidden-png.zip"
    read = [(0, 8192), (24576, path.stat().st_size)]  # blocks of 8 KiB, seen with strace
    row = report(reads(read), path.stat().st_size, path).row(0, named=True)
    assert row["verdict"] == "a second format, PNG, begins at 0x21c0 and nothing reads it"
    assert row["magic_offsets"] == [8640]
    assert row["alignment"] == 8192


def test_an_entry_of_the_archive_itself_is_no_second_format() -> None:
    path = DATA / "polyglot.png"
    row = report(frame((0, 9000)), path.stat().st_size, path).row(0, named=True)
    assert row["verdict"] == "the file begins as PNG and nothing reads that"
    row = report(frame((24000, 41260)), 41260, DATA / "cavity.zip").row(0, named=True)
    assert row["verdict"].startswith(
        "entry second.bin, central directory, end of central directory, never read; the ZIP's local header was"
    )


def verdicts(folder: Path, content: bytes, *gap: tuple[int, int]) -> list[str]:
    return report(frame(*gap), len(content), written(folder, content)).sort("start")["verdict"].to_list()


def test_the_part_of_a_format_is_named_and_whether_its_directory_was_read(tmp_path: Path) -> None:
    content = (DATA / "cavity.zip").read_bytes()
    data = slice(content.index(b"second.bin") + 10, content.index(b"PK\1\2"))
    (said,) = verdicts(tmp_path, content, (data.start, data.stop))
    assert said == "data of entry second.bin, never read; the ZIP's central directory was"
    (said,) = verdicts(tmp_path, content, (data.start, len(content)))
    assert said.startswith("data in entry second.bin") or "entry second.bin, central directory" in said
    assert "the ZIP's local header was" in said


def test_a_program_that_reads_the_directory_of_a_second_format_reads_that_format(tmp_path: Path) -> None:
    content = (DATA / "polyglot.png").read_bytes()
    start, stop = content.index(b"PK\3\4"), content.index(b"PK\1\2")
    (listed,) = verdicts(tmp_path, content, (start, stop))  # as `unzip -l` does
    assert listed.startswith(f"a second format, ZIP, begins at {start:#x}: entry ")
    assert listed.endswith("never read; the ZIP's central directory was")
    (ignored,) = verdicts(tmp_path, content, (start, len(content)))
    assert ignored.startswith(f"a second format, ZIP, begins at {start:#x} and nothing reads it")


def test_files_in_a_container_are_the_containers(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("picture.png", PNG * 20)
        archive.writestr("other.txt", "x")
    content = packed.getvalue()
    start = content.index(b"\x89PNG")
    (said,) = verdicts(tmp_path, content, (start, start + 20 * len(PNG)))
    assert said == "data of entry picture.png, never read; the ZIP's central directory was"


def test_a_known_section_is_no_unrecognised_data() -> None:
    path = Path(sys.executable).resolve()
    parts = structure(path).filter(pl.col("name") == "section .text")
    start, end = parts["start"].item(), parts["end"].item()
    size = path.stat().st_size
    said = report(frame((start, end)), size, path, most=1 << 20)["verdict"].item()
    assert "section .text" in said
    assert "never read; the ELF's identification was" in said


def test_every_hit_has_its_own_offset(tmp_path: Path) -> None:
    content = b"n" * 1000 + PNG + NOISE[:500] + b"7z\xbc\xaf\x27\x1c" + b"n" * 494 + PNG
    (said,) = verdicts(tmp_path, content, (100, len(content)))
    places = [m.start() for m in re.finditer(rb"\x89PNG|7z\xbc", content)]
    assert f"a second format, PNG, begins at {places[0]:#x} and nothing reads it" in said
    assert f"(also 7z at {places[1]:#x}, PNG at {places[2]:#x})" in said


def test_a_second_format_is_not_among_those_beside_it(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "x" * 50)
    picture = (DATA / "polyglot.png").read_bytes()
    picture = picture[: picture.index(b"IEND") + 8]
    content = picture + b"n" * 500 + b"7z\xbc\xaf\x27\x1c" + b"n" * 494 + packed.getvalue()
    (said,) = verdicts(tmp_path, content, (len(picture), len(content)))
    hidden, start = content.index(b"7z\xbc"), content.rindex(b"PK\3\4")
    assert said == (
        f"a second format, ZIP, begins at {start:#x} and nothing reads it (also 7z at {hidden:#x}), after the last byte read"
    )


@pytest.mark.parametrize("header", [4, 64, 0x80, 0x200])
def test_the_smallest_programs_and_bare_signatures_are_found(header: int) -> None:
    dos = bytearray(b"MZ".ljust(max(header, 64) + 4, b"\0"))
    dos[60:64] = header.to_bytes(4, "little")
    dos[header : header + 4] = b"PE\0\0"
    dos[60:64] = header.to_bytes(4, "little")
    content = b"n" * 777 + bytes(dos) + b"n" * 300
    assert scanned(content) == [(777, "Windows program")]
    assert scanned(b"n" * 50 + b"7z\xbc\xaf\x27\x1c" + b"n" * 50) == [(50, "7z")]
    assert scanned(b"n" * 200 + b"PE\0\0" + b"n" * 200) == []


def test_a_format_explains_its_own_bytes_and_no_neighbours() -> None:
    parts = [(10, 30, "ZIP", 0), (10, 20, "local header", 1)]
    known = Known(pl.DataFrame(parts, schema=SCHEMA, orient="row"), frame())
    assert [offset for offset in range(30) if known.explains(offset)] == list(range(10, 20))


# --- the report


def test_an_empty_report_keeps_its_columns(tmp_path: Path) -> None:
    assert report(frame(), 0, written(tmp_path, b"")).schema == REPORT
    assert report(frame(), 10).is_empty()
    assert report(frame((0, 10)), 10).schema == REPORT


def test_only_reads_close_gaps() -> None:
    events = pl.concat([reads([(0, 4)]), reads([(4, 8)], "write"), reads([(0, 6)], "truncate")])
    assert unread(events, 10).rows() == [(4, 10)]
    assert report(events, 10).select("start", "end").rows() == [(4, 10)]


def test_gaps_are_merged_and_end_with_the_file() -> None:
    rows = (
        report(frame((0, 4), (2, 6), (8, 50)), 10)
        .select("start", "end", "length", "share", "after_last_read")
        .rows()
    )
    assert sorted(rows) == [(0, 6, 6, 0.6, False), (8, 10, 2, 0.2, True)]


def test_rank_puts_formats_before_content_and_content_before_fillers(tmp_path: Path) -> None:
    parts = [bytes(5000), b"x", NOISE[:300], b"x", PNG, b"x"]
    edges = [sum(map(len, parts[:n])) for n in range(len(parts) + 1)]
    unread_parts = frame(*((edges[n], edges[n + 1]) for n in (0, 2, 4)))
    table = report(unread_parts, edges[-1], written(tmp_path, b"".join(parts)))
    assert table["rank"].to_list() == [1, 2, 3]
    assert table["start"].to_list() == [edges[4], edges[2], 0]
    assert table["magics"].to_list() == [["PNG"], [], []]
    assert table["byte_class"].to_list()[1:] == ["random-like", "zero"]


@pytest.mark.parametrize(
    ("content", "bounds", "says"),
    [
        (b"a" * 500 + bytes(12) + b"b" * 500, (500, 512), "padding: 12 bytes of 0x00 up to a multiple of 512"),
        (b"a" * 501 + b"\x90" * 11 + b"b" * 500, (501, 512), "padding: 11 bytes of 0x90 up to a multiple of 512"),
        (b"a" * 501 + b"\xff" * 100, (501, 601), "padding: 100 bytes of 0xff up to the end of the file"),
        (b"a" * 500 + bytes(1000) + b"b", (500, 1500), "a hole: 1,000 bytes of 0x00"),
        (b"a" * 98 + b"\0" + b"b", (98, 99), "a hole: 1 byte of 0x00"),
        (b"a" * 1024 + bytes(512) + b"b" * 500, (1024, 1536), "a hole: 512 bytes of 0x00"),
        (b"a" * 1025 + bytes(511) + b"b" * 500, (1025, 1536), "padding: 511 bytes of 0x00 up to a multiple of 512"),
        (b"a" * 9 + bytes(3) + b"b" * 500, (9, 12), "padding: 3 bytes of 0x00 up to a multiple of 4"),
        (b"a" * 9 + bytes(1) + b"b" * 500, (9, 10), "a hole: 1 byte of 0x00"),
        (NOISE, (5, 65535), "65,530 bytes that look compressed or encrypted (8.00 bits per byte)"),
        (b"To be, or not\n" * 9, (3, 126), "123 bytes of text that nothing reads, beginning"),
        (b"To be, or not\n" * 9, (3, 126), "after the last byte read"),
        (bytes(range(100)), (0, 99), "99 bytes of unrecognised data (6.63 bits per byte)"),
    ],
)  # fmt: skip
def test_verdicts(tmp_path: Path, content: bytes, bounds: tuple[int, int], says: str) -> None:
    row = report(frame(bounds), len(content), written(tmp_path, content)).row(0, named=True)
    assert says in row["verdict"]
    assert row["note"] is None


def test_head_is_shown_as_hex_and_as_ascii(tmp_path: Path) -> None:
    row = report(frame((1, 7)), 10, written(tmp_path, b"aB\x1b\xff~\x7f def")).row(0, named=True)
    assert (row["head_hex"], row["head_ascii"]) == ("42 1b ff 7e 7f 20", "B..~. ")


def described(size: int, mtime_ns: int | None, content: Path | None) -> dict[str, object]:
    row = report(frame((0, 4)), size, content, recorded_mtime_ns=mtime_ns).row(0, named=True)
    assert [row[name] for name in CONTENT_COLUMNS] == [None] * len(CONTENT_COLUMNS)
    assert "4 bytes that nothing reads" in row["verdict"]
    return row


def test_content_that_is_missing_or_changed_is_not_guessed(tmp_path: Path) -> None:
    path = written(tmp_path, b"content")
    now = path.stat().st_mtime_ns
    assert "8 bytes then and 7 now" in described(8, None, path)["note"]
    assert "its time of change is another" in described(7, now + 1, path)["note"]
    assert described(7, None, None)["note"] == "content not at hand"
    assert "No such file" in described(7, None, tmp_path / "none")["note"]
    unchanged = report(frame((0, 4)), 7, path, recorded_mtime_ns=now).row(0, named=True)
    assert unchanged["note"] is None
    assert unchanged["head_ascii"] == "cont"


def test_content_that_cannot_be_read_says_why_of_every_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_source: Source) -> pl.DataFrame:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(gaps, "structure_of", fails)
    table = report(frame((0, 4), (6, 7)), 7, written(tmp_path, b"content"))
    assert table["note"].to_list() == ["content not read: Input/output error"] * 2
    assert table["verdict"].to_list() == [
        "4 bytes that nothing reads",
        "1 byte that nothing reads, after the last byte read",
    ]
    assert table["head_hex"].to_list() == [None, None]


def test_content_written_to_while_it_is_examined_is_not_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, b"content")
    real = gaps.examine

    def meanwhile(source: Source, start: int, end: int, own: str | None) -> gaps.Content:
        os.utime(path, ns=(1, 1))
        return real(source, start, end, own)

    monkeypatch.setattr(gaps, "examine", meanwhile)
    assert "its time of change is another" in described(7, None, path)["note"]


def test_what_exceeds_the_limit_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, NOISE)
    table = report(frame((0, 100), (1000, 30000)), len(NOISE), path, most=20_000).sort("start")
    assert "not examined" in table["note"][0]
    assert table["note"][1] == "only the first 20,000 bytes examined"
    assert table["entropy"].is_null().to_list() == [True, False]


def test_a_file_that_nobody_reads_at_all_has_no_last_byte_read(tmp_path: Path) -> None:
    content = b"To be, or not\n" * 9
    (said,) = verdicts(tmp_path, content, (0, 126))
    assert said == "126 bytes of text that nothing reads, beginning 'To be, or not.To be, or not.To b'"
    (said,) = verdicts(tmp_path, content, (1, 126))
    assert said.endswith(", after the last byte read")
    assert report(frame((0, 126)), 126)["verdict"].to_list() == ["126 bytes that nothing reads"]
    assert report(frame((1, 126)), 126)["verdict"].to_list() == [
        "125 bytes that nothing reads, after the last byte read"
    ]


def test_tiny_gaps_use_the_limit_up_too_and_those_beyond_it_say_so(tmp_path: Path) -> None:
    content = b"ab" * 50
    gaps_of_one = frame((10, 12), (20, 21), (30, 31), (40, 41))
    table = report(gaps_of_one, 100, written(tmp_path, content), most=3 * 4096).sort("start")
    assert table["byte_class"].to_list() == ["text", "text", "text", None]
    assert table["note"].to_list() == [
        None,
        None,
        None,
        "content not examined: the limit of the report is used up by larger gaps",
    ]
    assert table["verdict"].to_list()[3] == "1 byte that nothing reads"


# --- numbers


@given(st.binary(max_size=400))
def test_entropy_equals_its_definition(content: bytes) -> None:
    expected = -sum(n / len(content) * math.log2(n / len(content)) for n in Counter(content).values())
    counts = bytestats.histogram([content[:100], content[100:]])
    assert counts.tolist() == [content.count(value) for value in range(256)]
    assert bytestats.entropy(counts) == pytest.approx(expected, abs=1e-9)
    assert bytestats.only_value(counts) == (content[0] if len(set(content)) == 1 else None)


@given(st.integers(0, 2**62))
def test_alignment_equals_trying_every_power(offset: int) -> None:
    assert bytestats.alignment(offset) == max(1 << k for k in range(21) if offset % (1 << k) == 0)


@given(st.integers(257, 60_000), st.integers(0, 2**32))
def test_noise_of_any_length_is_random_like_and_text_never(length: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - noise, not secrets
    assert bytestats.byte_class(bytestats.histogram([chance.randbytes(length)])) == "random-like"
    text = "".join(chance.choices("etaoin shrdlu\n", k=length)).encode()
    assert bytestats.byte_class(bytestats.histogram([text])) == "text"


@pytest.mark.parametrize("length", [257, 1000, 4096, 100_000])
def test_the_entropy_of_noise_is_what_noise_shows(length: int) -> None:
    chance = np.random.default_rng(length)
    seen = [bytestats.entropy(bytestats.histogram([chance.bytes(length)])) for _ in range(50)]
    assert bytestats.random_entropy(length) == pytest.approx(np.mean(seen), abs=0.15)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(bytes(9), "zero"), (b"\xff" * 9, "0xFF"), (b"abc\n", "text"), (b"abc\0", "mixed"), (b"", "mixed"), (zlib.compress(NOISE), "random-like"), (bytes(range(256)) * 2, "random-like"), (NOISE[:256], "mixed"), (bytes(200) + NOISE[:200], "mixed")],
)  # fmt: skip
def test_classes(content: bytes, expected: str) -> None:
    assert bytestats.byte_class(bytestats.histogram([content])) == expected


# --- magics


def samples() -> dict[str, bytes]:
    """Give the first bytes that writers of each format put there."""
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, 1, 2, 3, 5, 0) + b"a.txt"
    wav = b"RIFF" + struct.pack("<I", 4) + b"WAVEfmt "
    tar = bytearray(512)
    tar[:4], tar[257:265] = b"name", b"ustar\x0000"
    program = bytearray(128)
    program[:4], program[60:64], program[64:68] = b"MZ\x90\0", struct.pack("<I", 64), b"PE\0\0"
    return {
        "ZIP": local,
        "PNG": PNG,
        "PDF": b"%PDF-1.7\n",
        "ELF": b"\x7fELF\2\1\1" + bytes(9),
        "RIFF": wav,
        "tar": bytes(tar),
        "Windows program": bytes(program),
        "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        "bzip2": b"BZh91AY&SY",
        "xz": b"\xfd7zXZ\0\0\x04",
        "7z": b"7z\xbc\xaf\x27\x1c\0\4",
        "GIF": b"GIF89a\1\0\1\0",
        "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF\0\1",
        "FLAC": b'fLaC\0\0\0"',
        "SQLite database file": b"SQLite format 3\0",
    }


@pytest.mark.parametrize(("name", "begin"), samples().items(), ids=samples())
def test_a_format_is_found_anywhere(name: str, begin: bytes) -> None:
    for place in (0, 1, 4096, (1 << 20) - 3, (1 << 20) - 1):
        content = b"." * place + begin + b"." * 64
        assert (place, name) in scanned(content)
        assert scanned(content, place + 1) == []


@pytest.mark.parametrize(
    "decoy",
    [b"PK\3\4" + b"\xee" * 60, b"%PDF and so on", b"\x7fELF\7\7\7" + bytes(9), b"RIFF\xff\xff\xff\x7fWAVEfmt ", b"GIF89a\0\0\0\0", b"MZ\x90\0" + bytes(200), b"\x1f\x8b\x08\0" + b"\x77" * 9, b"BZh9 is no archive", b"This is a function in the file"],
)  # fmt: skip
def test_a_short_signature_alone_is_no_format(decoy: bytes) -> None:
    assert scanned(b"." * 100 + decoy + b"." * 100) == []


def test_noise_holds_no_formats() -> None:
    assert scanned(np.random.default_rng(1).bytes(8 << 20)) == []


def test_a_signature_cut_by_the_end_of_the_gap_is_not_inside() -> None:
    content = b"." * 10 + PNG
    assert scanned(content, 0, 13) == []
    assert scanned(content, 0, 14) == [(10, "PNG")]
    assert scanned(content, 11) == []


@settings(max_examples=60)
@given(pieces=st.lists(st.sampled_from(list(samples().items())), max_size=5), seed=st.integers(0, 99))
def test_every_planted_format_is_found_where_it_was_planted(
    pieces: list[tuple[str, bytes]], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - places, not secrets
    content, planted = b"", []
    for name, begin in pieces:
        content += b"." * chance.randrange(1, 500)
        planted.append((len(content), name))
        content += begin
    content += b"." * 600
    assert [hit for hit in planted if hit not in scanned(content)] == []


def test_the_search_of_made_up_signatures_ends(tmp_path: Path) -> None:
    path = written(tmp_path, PNG * 2000)
    row = report(frame((0, path.stat().st_size)), path.stat().st_size, path).row(0, named=True)
    assert len(row["magics"]) == signatures.MOST_HITS
    assert row["note"] == "more formats than listed: the search stopped"


def test_the_signatures_of_puremagic_are_used_but_not_the_vague_ones() -> None:
    used = {signature.magic for signature in signatures.signatures()}
    assert b"SQLite format 3\0" in used
    assert min(map(len, used)) >= 4
    assert not {magic for magic in used if magic.isalpha() and len(magic) > 5}
    names = {signature.name for signature in signatures.signatures()}
    assert not {name for name in names if not name or name.startswith(".")}


def test_a_search_reads_no_more_than_a_block_at_once() -> None:
    asked: list[int] = []

    class Counting(Source):
        def at(self, start: int, count: int) -> bytes:
            asked.append(count)
            return super().at(start, count)

    content = b"." * (3 << 20) + PNG
    assert signatures.scan(Counting(io.BytesIO(content)), 0, len(content))[0] == [(3 << 20, "PNG")]
    assert max(asked) < (1 << 20) + 16
    assert len(asked) < 8


@settings(max_examples=60)
@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 320), max_size=6))
def test_the_report_holds_each_unread_byte_once(tmp_path: Path, content: bytes, cuts: list[int]) -> None:
    cuts = sorted(cuts[: len(cuts) // 2 * 2])
    bounds = list(zip(cuts[::2], cuts[1::2], strict=True))
    table = report(reads(bounds), len(content), written(tmp_path, content))
    held = [byte for start, end in table.select("start", "end").rows() for byte in range(start, end)]
    seen = {byte for start, end in bounds for byte in range(start, end)}
    assert sorted(held) == [byte for byte in range(len(content)) if byte not in seen]
    for row in table.rows(named=True):
        inside = content[row["start"] : row["end"]]
        assert row["head_hex"] == inside[:32].hex(" ")
        assert row["after_last_read"] == (row["end"] == len(content))
