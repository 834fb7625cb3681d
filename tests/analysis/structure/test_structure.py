"""Every format's parts against what its own writer put there, and hostile files against the clock and the cure."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pycdlib
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmrw.analysis.structure import crosstab, structure, structure_from
from fmrw.analysis.structure.parts import Source
from fmrw.errors import BadInput

DATA = Path(__file__).parents[3] / "data"
SCHEMA = {"start": pl.Int64, "end": pl.Int64, "name": pl.String, "depth": pl.Int64}


def written(folder: Path, content: bytes) -> Path:
    path = folder / "sample"
    path.write_bytes(content)
    return path


def span(frame: pl.DataFrame, name: str, depth: int = 1) -> tuple[int, int]:
    row = frame.filter(pl.col("name") == name, pl.col("depth") == depth)
    assert row.height == 1, frame["name"].to_list()
    return row["start"].item(), row["end"].item()


def formats(frame: pl.DataFrame) -> list[str]:
    return frame.filter(pl.col("depth") == 0)["name"].to_list()


def iso_image() -> bytes:
    image, packed = pycdlib.PyCdlib(), io.BytesIO()
    image.new()
    image.add_directory("/DEEP")
    image.add_fp(io.BytesIO(b"a" * 3000), 3000, "/DEEP/A.TXT;1")
    image.add_fp(io.BytesIO(b"b" * 10), 10, "/B.TXT;1")
    image.write_fp(packed)
    image.close()
    return packed.getvalue()


def wav(samples: bytes = b"\1\2\3") -> bytes:
    form = b"WAVE" + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    info = b"INFO" + struct.pack("<4sI4s", b"INAM", 4, b"tone")
    form += struct.pack("<4sI", b"LIST", len(info)) + info
    form += struct.pack("<4sI", b"data", len(samples)) + samples + b"\0" * (len(samples) % 2)
    return b"RIFF" + struct.pack("<I", len(form)) + form


def packed_tar(form: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for name, length in (("a" * 150 + ".txt", 700), ("short", 512), ("empty", 0)):
            member = tarfile.TarInfo(name)
            member.size = length
            archive.addfile(member, io.BytesIO(b"x" * length))
    return packed.getvalue()


def test_zip_entries_lie_where_zipfile_reads_them() -> None:
    path = DATA / "cavity.zip"
    frame = structure(path)
    assert frame.schema == SCHEMA
    assert formats(frame) == ["ZIP"]
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            start, end = span(frame, f"entry {entry.filename}")
            assert start == entry.header_offset
            assert content[start:end].endswith(archive.read(entry))
    assert content[slice(*span(frame, "central directory"))][:4] == b"PK\1\2"
    assert span(frame, "end of central directory") == (len(content) - 22, len(content))
    assert span(frame, "record of first.txt", 2)[0] == span(frame, "central directory")[0]


def test_zip_data_descriptors_and_comment(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError

    packed = Pipe()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("streamed", b"abc" * 1000)
        archive.comment = b"the comment"
    frame = structure(written(tmp_path, packed.getvalue()))
    data, descriptor = span(frame, "data", 2), span(frame, "data descriptor", 2)
    assert data[1] == descriptor[0]
    assert packed.getvalue()[slice(*descriptor)][:4] == b"PK\7\x08"
    assert descriptor[1] == span(frame, "central directory")[0]
    assert span(frame, "end of central directory")[1] == len(packed.getvalue())


def test_zip64_records_are_named(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, archive.open("big", "w", force_zip64=True) as entry:
        entry.write(b"x")
    content = packed.getvalue()
    end = content.rfind(b"PK\5\6")
    wide = struct.pack(
        "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, *struct.unpack("<2I", content[end + 12 : end + 20])
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    frame = structure(written(tmp_path, content[:end] + wide + locator + content[end:]))
    assert formats(frame) == ["ZIP"]
    assert span(frame, "ZIP64 end of central directory") == (end, end + 56)
    assert span(frame, "ZIP64 locator") == (end + 56, end + 76)


def test_a_zip_without_its_end_keeps_its_entries(tmp_path: Path) -> None:
    content = (DATA / "polyglot.pdf").read_bytes()
    cut = content[17476:40000]
    frame = structure(written(tmp_path, cut))
    assert "damaged: no end of the central directory" in formats(frame)[0]
    assert span(frame, "entry noise.bin") == (17611 - 17476, 38130 - 17476)
    assert span(frame, "entry numbers.csv (cut off)") == (38130 - 17476, len(cut))


def test_polyglots_have_all_their_formats() -> None:
    both = structure(DATA / "polyglot.pdf")
    assert formats(both) == ["ZIP", "PDF"]
    assert span(both, "entry hidden.txt")[0] == 17476
    assert formats(structure(DATA / "polyglot.png")) == ["ZIP", "PNG"]
    assert formats(structure(DATA / "polyglot.png", formats=["PNG"])) == ["PNG"]


def test_a_format_in_the_middle_is_not_one_of_the_file() -> None:
    assert formats(structure(DATA / "hidden-png.zip")) == ["ZIP"]


def test_png_chunks_follow_each_other_to_the_end() -> None:
    frame = structure(DATA / "polyglot.png", formats=["PNG"])
    parts = frame.filter(pl.col("depth") == 1)
    assert parts["name"].to_list() == ["signature", "chunk IHDR", "chunk IDAT", "chunk zpIp", "chunk IEND"]
    assert parts["start"].to_list()[1:] == parts["end"].to_list()[:-1]
    assert parts["end"][-1] == (DATA / "polyglot.png").stat().st_size


def test_pdf_objects_lie_where_they_begin_and_end() -> None:
    content = (DATA / "polyglot.pdf").read_bytes()
    frame = structure(DATA / "polyglot.pdf", formats=["PDF"])
    objects = frame.filter(pl.col("name").str.starts_with("object"))
    assert objects.height == 10
    for start, end, name, _ in objects.rows():
        assert content[start:end].startswith(f"{name.split()[1]} 0 obj".encode())
        assert content[start:end].endswith(b"endobj")
    hidden = frame.filter(pl.col("name") == "stream").rows()[-1]
    assert hidden[:2] == (16964, content.rfind(b"\nendstream"))
    assert content[slice(*span(frame, "cross-reference table"))].startswith(b"xref")


def test_pdf_written_by_another_program(tmp_path: Path) -> None:
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    path = tmp_path / "blank.pdf"
    writer.write(path)
    frame = structure(path)
    assert formats(frame) == ["PDF"]
    assert frame["name"].str.contains("Catalog").any()
    assert frame["end"].max() >= path.stat().st_size - 1


def test_an_appended_revision_keeps_both_tables(tmp_path: Path) -> None:
    content = (DATA / "polyglot.pdf").read_bytes()
    at, old = len(content), int(content.split(b"startxref\n")[1].split()[0])
    new = b"3 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Times >>\nendobj\n"
    table = f"xref\n3 1\n{at:010d} 00000 n \ntrailer\n<< /Size 11 /Root 1 0 R /Prev {old} >>\nstartxref\n{at + len(new)}\n%%EOF\n"
    frame = structure(written(tmp_path, content + new + table.encode()), formats=["PDF"])
    assert frame.filter(pl.col("name") == "cross-reference table")["start"].to_list() == [old, at + len(new)]
    assert span(frame, "object 3 0 Font")[0] == at


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_tar_data_lies_where_tarfile_reads_it(tmp_path: Path, form: int) -> None:
    content = packed_tar(form)
    frame = structure(written(tmp_path, content))
    assert formats(frame) == ["tar"]
    parts = frame.filter(pl.col("depth") == 1)
    assert parts["start"].to_list()[1:] == parts["end"].to_list()[:-1]
    assert parts["end"][-1] == len(content)
    data = frame.filter(pl.col("name") == "data")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive.getmembers():
            assert f"entry {member.name}" in frame["name"].to_list()
            if member.size:
                assert (member.offset_data, member.offset_data + member.size) in data.select(
                    "start", "end"
                ).rows()


def test_a_pax_size_wins_over_the_header(tmp_path: Path) -> None:
    def block(name: str, kind: bytes, size: int) -> bytes:
        member = tarfile.TarInfo(name)
        member.type, member.size = kind, size
        return member.tobuf(tarfile.USTAR_FORMAT)

    record = b"12 size=600\n"
    content = block("pax", b"x", len(record)) + record.ljust(512, b"\0")
    content += block("data", b"0", 0) + b"x" * 600 + bytes(424) + bytes(1024)
    frame = structure(written(tmp_path, content))
    assert span(frame, "entry data") == (1024, 1024 + 512 + 1024)
    assert span(frame, "end of archive") == (2560, 3584)


def test_gzip_fields(tmp_path: Path) -> None:
    content = (DATA / "notes.tar.gz").read_bytes()
    frame = structure(DATA / "notes.tar.gz")
    assert content[slice(*span(frame, "file name"))] == b"notes.tar\0"
    assert span(frame, "CRC and length") == (len(content) - 8, len(content))
    assert formats(structure(written(tmp_path, gzip.compress(b"x")))) == ["gzip"]


def test_iso_files_lie_where_their_bytes_are(tmp_path: Path) -> None:
    content = iso_image()
    frame = structure(written(tmp_path, content))
    assert formats(frame) == ["ISO 9660"]
    assert content[slice(*span(frame, "file /DEEP/A.TXT;1"))] == b"a" * 3000
    assert content[slice(*span(frame, "file /B.TXT;1"))] == b"b" * 10
    assert span(frame, "primary volume descriptor") == (32768, 34816)
    assert span(frame, "system area") == (0, 32768)
    assert frame["name"].str.contains("little-endian path table").any()


def test_elf_sections_lie_where_the_tables_say() -> None:
    path = Path(sys.executable).resolve()
    frame = structure(path)
    assert formats(frame) == ["ELF"]
    header = path.read_bytes()[:64]
    (table,) = struct.unpack_from("<Q", header, 40)
    each, count = struct.unpack_from("<HH", header, 58)
    assert span(frame, "section header table") == (table, table + each * count)
    assert span(frame, "section .text")[1] > span(frame, "section .text")[0]
    assert frame["end"].max() <= path.stat().st_size


def test_riff_chunks_and_lists(tmp_path: Path) -> None:
    content = wav()
    frame = structure(written(tmp_path, content))
    assert formats(frame) == ["RIFF"]
    assert span(frame, "RIFF WAVE") == (0, len(content))
    assert span(frame, "LIST INFO", 2) == (36, 60)
    assert content[slice(*span(frame, "chunk INAM", 3))].endswith(b"tone")
    assert span(frame, "padding", 2) == (len(content) - 1, len(content))
    bytes_below = frame.filter(
        pl.col("name").is_in(["type and length", "type, length, form", "data", "padding"])
    )
    assert (bytes_below["end"] - bytes_below["start"]).sum() == len(content)


def test_names_cannot_reach_the_terminal(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("\x1b[31mred", b"x")
    frame = structure(written(tmp_path, packed.getvalue()))
    assert "entry \\x1b[31mred" in frame["name"].to_list()


def test_other_files_have_no_structure(tmp_path: Path) -> None:
    assert structure(written(tmp_path, b"")).is_empty()
    assert structure(written(tmp_path, b"just text")).schema == SCHEMA


def test_unreadable_files_and_unknown_formats(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        structure(tmp_path / "none")
    with pytest.raises(BadInput, match="choose from ZIP, PNG"):
        structure(DATA / "cavity.zip", formats=["FLAC"])


def test_find_sees_what_lies_across_blocks(tmp_path: Path) -> None:
    path = written(tmp_path, bytes((1 << 20) - 3) + b"needle" + bytes(100))
    with path.open("rb") as file:
        source = Source(file)
        assert source.find(b"needle", 0, source.size) == (1 << 20) - 3
        assert source.find(b"needle", 0, (1 << 20) + 2) == -1


@settings(max_examples=60)
@given(
    magic=st.sampled_from(
        [b"PK\3\4", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4\n", b"\x1f\x8b\x08", b"\x7fELF\2\1\1", b"RIFF", b"RIFX"]
    ),
    rest=st.binary(max_size=300),
)
def test_a_magic_and_noise(tmp_path: Path, magic: bytes, rest: bytes) -> None:
    frame = structure(written(tmp_path, magic + rest))
    assert frame["end"].max() is None or frame["end"].max() <= len(magic + rest)


def test_lists_in_lists_do_not_recurse(tmp_path: Path) -> None:
    content = b"".join(b"LIST" + struct.pack("<I", 0xFFFFFFF0) + b"deep" for _ in range(5000))
    frame = structure(written(tmp_path, b"RIFF" + struct.pack("<I", len(content) + 4) + b"WAVE" + content))
    assert frame["depth"].max() <= 34


def test_counts_in_an_elf_are_bounded_by_the_file(tmp_path: Path) -> None:
    head = struct.pack("<16s2HI3QI6H", b"\x7fELF\2\1\1", 2, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, 0, 0)
    first = struct.pack("<2I4Q2I2Q", 0, 0, 0, 0, 0, 2**62, 0, 0, 0, 0)
    frame = structure(written(tmp_path, head + first))
    assert frame.height <= 4
    assert span(frame, "section header table") == (64, 128)


def test_written_ranges_as_csv_and_json(tmp_path: Path) -> None:
    table, listing = tmp_path / "a.csv", tmp_path / "a.json"
    table.write_text('start,end,name,depth\n0,0x10,header,0\n16,4 KiB,"body, main",1\n')
    listing.write_text(
        json.dumps(
            [
                {"start": 0, "end": "0x10", "name": "header"},
                {"start": 16, "end": 4096, "name": "body, main", "depth": 1},
            ]
        )
    )
    expected = [(0, 16, "header", 0), (16, 4096, "body, main", 1)]
    assert structure_from(table).rows() == expected
    assert structure_from(listing).rows() == expected
    assert structure_from(table).schema == SCHEMA


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("start,end\n0,1\n", "no column name"),
        ("start,end,name\n0,1,a\n5,5,b\n", r"row 2: \[5, 5\) holds no byte"),
        ("start,end,name\n9,1,a\n", "row 1: .*holds no byte"),
        ("start,end,name\n-1,1,a\n", "row 1: start"),
        ("start,end,name\n0,x,a\n", "row 1: end"),
        ("start,end,name\n0,1,\n", "row 1: no name"),
        ("start,end,name\n0\n", "row 1: end"),
        ('start,end,name\n0,1,"a\n', "not CSV"),
        ('[{"start": 0, "end": 1, "name": "a"}, 7]', "row 2: not an object"),
        ('[{"start": true, "end": 1, "name": "a"}]', "row 1: start"),
        ('[{"start": 0, "end": 1.5, "name": "a"}]', "row 1: end"),
        ('[{"start": 0, "end": 1, "name": 3}]', "row 1: no name"),
        ('[{"start": 0, "end": 9223372036854775808, "name": "a"}]', "row 1: end"),
        ("[" * 100_000, "not JSON"),
        ('{"start": 0}', "not an array"),
        ("", "no column"),
    ],
)
def test_mistakes_in_written_ranges_name_their_row(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "ranges"
    path.write_text(text)
    with pytest.raises(BadInput, match=says) as error:
        structure_from(path)
    assert "\n" not in str(error.value)


def test_written_ranges_that_cannot_be_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"start,end,name\n0,1,\xff\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        structure_from(path)
    with pytest.raises(BadInput, match="No such file"):
        structure_from(tmp_path / "none")
    written(tmp_path, b" " * ((64 << 20) + 1))
    with pytest.raises(BadInput, match="larger than 64 MiB"):
        structure_from(path)


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=6)


@given(named=SPANS, read=SPANS, size=st.integers(0, 70))
def test_crosstab_equals_counting_bytes(
    named: list[tuple[int, int]], read: list[tuple[int, int]], size: int
) -> None:
    table = pl.DataFrame([(a, a + n, "x", 0) for a, n in named], schema=SCHEMA, orient="row")
    extents = pl.DataFrame([(a, a + n) for a, n in read], schema=["start", "end"], orient="row").cast(
        pl.Int64
    )
    described = set(itertools.chain(*(range(a, a + n) for a, n in named))) & set(range(size))
    seen = set(itertools.chain(*(range(a, a + n) for a, n in read)))
    outside = set(range(size)) - described
    result = crosstab(table, extents, size)
    expected = [described & seen, described - seen, outside & seen, outside - seen]
    assert result["bytes"].to_list() == [len(each) for each in expected]
    for each, row in zip(expected, result.rows(named=True), strict=True):
        assert (
            set(itertools.chain(*itertools.starmap(range, zip(row["starts"], row["ends"], strict=True))))
            == each
        )
        assert row["ranges"] == len(row["starts"])
        assert row["share"] == (len(each) / size if size else None)


def test_a_hole_between_entries_is_not_described() -> None:
    path = DATA / "cavity.zip"
    nothing = pl.DataFrame(schema={"start": pl.Int64, "end": pl.Int64})
    result = crosstab(structure(path), nothing, path.stat().st_size).rows(named=True)
    assert result[3]["bytes"] == 24 * 1024
    assert (result[3]["starts"], result[3]["ends"]) == ([127], [127 + 24 * 1024])


def test_exports_of_imhex_and_kaitai(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    meta = {"__type": "Header", "__color": "#FF0000FF", "__endian": "little"}
    inner = {**meta, "__address": "4", "__size": "2", "flags": 3}
    header = {
        **meta,
        "__address": "0",
        "__size": "16",
        "magic": 1,
        "inner": inner,
        "empty": {**meta, "__address": "9", "__size": "0"},
    }
    path.write_text(json.dumps({"header": header, "list": [{**meta, "__address": "16", "__size": "4"}] * 2}))
    assert structure_from(path).rows() == [
        (0, 16, "header", 1), (4, 6, "inner", 2), (16, 20, "list[0]", 1), (16, 20, "list[1]", 1),
    ]  # fmt: skip
    marks = [
        {"name": "mark", "comment": "", "color": 1, "region": {"address": 5, "size": 3}, "locked": False}
    ]
    path.write_text(json.dumps({"bookmarks": marks}))
    assert structure_from(path).rows() == [(5, 8, "mark", 1)]
    places = {
        "magic": {"start": 0, "end": 2},
        "items": {"start": 2, "end": 6, "arr": [{"start": 2, "end": 4}, {"start": 4, "end": 6}]},
    }
    body = {"_debug": {"size": {"start": 0, "end": 1, "ioOffset": 6}}, "size": 1}
    path.write_text(json.dumps({"_debug": places, "magic": 1, "items": [1, 2], "body": body}))
    assert structure_from(path).rows() == [
        (0, 2, "magic", 1), (2, 6, "items", 1), (2, 4, "items[0]", 2), (4, 6, "items[1]", 2), (6, 7, "size", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"bookmarks": [{"name": "a"}]}, "row 1: start"),
        ({"bookmarks": [7]}, "row 1: start"),
        ({"a": {"__address": "x", "__size": "1"}}, "row 1: start"),
        ({"a": {"__address": "1", "__size": {}}}, "row 1: end"),
        ({"_debug": {"a": {"start": 3, "end": 1}}}, "row 1: .*holds no byte"),
        ({"values": {"only": 1}}, "not an array"),
    ],
)
def test_mistakes_in_exports_name_their_row(tmp_path: Path, tree: object, says: str) -> None:
    (tmp_path / "export.json").write_text(json.dumps(tree))
    with pytest.raises(BadInput, match=says):
        structure_from(tmp_path / "export.json")


def test_a_crosstab_names_its_ranges_and_its_format(tmp_path: Path) -> None:
    path, nothing = DATA / "cavity.zip", pl.DataFrame(schema={"start": pl.Int64, "end": pl.Int64})
    rows = crosstab(structure(path), nothing, path.stat().st_size).rows(named=True)
    assert {row["format"] for row in rows} == {"ZIP"}
    assert rows[3]["names"] == ["between entry first.txt and entry second.bin"]
    assert rows[1]["names"][0] == "entry first.txt"
    read = pl.DataFrame({"start": [0], "end": [30]})
    assert crosstab(structure(path), read, 200)["names"].to_list()[0] == ["local header of entry first.txt"]
    cut = written(tmp_path, path.read_bytes()[:-10])
    assert "damaged: no end of" in crosstab(structure(cut), nothing, 10)["format"][0]
    plain = crosstab(structure(written(tmp_path, b"text")), nothing, 4)
    assert plain["format"].to_list() == ["no format recognised"] * 4
    assert plain["names"].to_list() == [[], [], [], [""]]
