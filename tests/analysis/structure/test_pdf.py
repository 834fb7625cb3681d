"""Objects of a PDF against `qpdf --show-xref`, of sound files and of odd ones that qpdf reads or repairs."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from found import Found

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture
def plain(tmp_path: Path, tool: Callable[..., str]) -> bytes:
    tool("qpdf", "--static-id", DATA / "polyglot.pdf", "plain.pdf")
    return (tmp_path / "plain.pdf").read_bytes()


@pytest.fixture
def streams(tmp_path: Path, tool: Callable[..., str]) -> bytes:
    tool("qpdf", "--static-id", "--object-streams=generate", DATA / "polyglot.pdf", "streams.pdf")
    return (tmp_path / "streams.pdf").read_bytes()


def objects(found: Found) -> dict[int, int]:
    return {int(name.split()[1]): where[0][0] for name, where in found.named("object ").items()}


def by_qpdf(content: bytes, tmp_path: Path, tool: Callable[..., str]) -> dict[int, int]:
    """Where qpdf finds objects; it counts from the header."""
    (tmp_path / "asked.pdf").write_bytes(content)
    said = tool("qpdf", "--password=u", "--show-xref", "asked.pdf", check=False)
    base = max(content[:1024].find(b"%PDF-"), 0)
    return {int(n): int(at) + base for n, at in re.findall(r"(\d+)/\d+: uncompressed; offset = (\d+)", said)}


def with_startxref(content: bytes, more: int) -> bytes:
    return re.sub(rb"(?<=startxref\n)\d+", lambda found: b"%d" % (int(found[0]) + more), content)


def with_table(content: bytes, pattern: bytes, becomes: bytes | Callable[[re.Match[bytes]], bytes]) -> bytes:
    at = content.rindex(b"xref\n0")
    return content[:at] + re.sub(pattern, becomes, content[at:])


ODD: dict[
    str, tuple[Callable[[bytes], bytes], bool]
] = {  # what is done to a sound file; whether it is to be rebuilt
    "sound": (lambda c: c, False),
    "no startxref": (lambda c: c.replace(b"startxref", b"startxxxx"), True),
    "startxref one before": (lambda c: with_startxref(c, -1), False),
    "startxref behind": (lambda c: with_startxref(c, 7), True),
    "startxref 0": (lambda c: re.sub(rb"startxref\n\d+", b"startxref\n0", c), True),
    "startxref on one line": (lambda c: re.sub(rb"startxref\n(\d+)\n", rb"startxref \1 ", c), False),
    "a comment in startxref": (lambda c: re.sub(rb"startxref\n", b"startxref % here\n", c), False),
    "no %%EOF": (lambda c: c.replace(b"%%EOF", b""), False),
    "offsets 1 too large": (
        lambda c: with_table(c, rb"\d{10}(?= 00000 n)", lambda m: b"%010d" % (int(m[0]) + 1)),
        True,
    ),
    "offsets far off": (
        lambda c: with_table(c, rb"\d{10}(?= 00000 n)", lambda m: b"%010d" % (int(m[0]) + 20)),
        True,
    ),
    "entries of 19 bytes": (lambda c: with_table(c, rb"([nf]) \n", rb"\1\n"), False),
    "a comment in the table": (lambda c: with_table(c, rb"xref\n", b"xref % 0 5 n\n"), False),
    "carriage returns": (lambda c: with_table(c, rb"\n", b"\r"), False),
    "white space before the table": (lambda c: with_table(c, rb"\Axref", b" \n xref"), False),
    "too few entries stated": (lambda c: with_table(c, rb"0 10\n", b"0 8\n"), True),
    "too many entries stated": (lambda c: with_table(c, rb"0 10\n", b"0 12\n"), True),
    "trailer on one line": (lambda c: re.sub(rb"trailer\s*<<", b"trailer<<", c), False),
    "a loop of revisions": (
        lambda c: c.replace(b"trailer << ", b"trailer << /Prev %d " % c.rindex(b"xref\n0")),
        False,
    ),
    "an older revision nowhere": (lambda c: c.replace(b"trailer << ", b"trailer << /Prev 7 "), True),
    "junk before": (lambda c: b"j" * 99 + b"\n" + c, False),
    "a picture before": (lambda c: (DATA / "polyglot.png").read_bytes() + c, False),
    "an archive behind": (lambda c: c + (DATA / "cavity.zip").read_bytes(), False),
    "3 MB behind": (lambda c: c + bytes(3_000_000), False),
    "no header": (lambda c: c[9:], True),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_have_the_objects_that_qpdf_finds(
    name: str, plain: bytes, tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    change, rebuilt = ODD[name]
    content = change(plain)
    found = look(content, formats=["PDF"])
    expected = by_qpdf(content, tmp_path, tool)
    assert len(expected) == 9
    assert objects(found) == expected
    assert found.formats[0].startswith("PDF (rebuilt: " if rebuilt else "PDF")
    assert rebuilt or found.formats == ["PDF"]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.replace(b"trailer", b"trxxxxx"),
        lambda c: with_table(c, rb"([nf]) \n", rb"\1 "),
        lambda c: with_table(c, rb"\n0 10\n", b"\n1 10\n"),
        lambda c: b"\0" * 3_000_000 + c,
        lambda c: c[: c.rindex(b"xref\n0") + 40],
    ],
    ids=["no trailer", "all on one line", "numbers from 1", "3 MB before", "cut in the table"],
)
def test_what_qpdf_gives_up_is_found_where_it_was_written(
    change: Callable[[bytes], bytes],
    plain: bytes,
    tmp_path: Path,
    look: Callable[..., Found],
    tool: Callable[..., str],
) -> None:
    content = change(plain)
    moved = content.find(b"%PDF-")
    expected = {n: at + moved for n, at in by_qpdf(plain, tmp_path, tool).items()}
    assert objects(look(content, formats=["PDF"])) == expected


@pytest.mark.parametrize(
    "around", [(0, 0), (500, 0), (3_000_000, 0), (0, 3_000_000), (500, 3_000_000), (3_000_000, 3_000_000)]
)
def test_reference_streams_are_followed_wherever_the_file_begins(
    around: tuple[int, int],
    streams: bytes,
    tmp_path: Path,
    look: Callable[..., Found],
    tool: Callable[..., str],
) -> None:
    before, behind = around
    expected = {n: at + before for n, at in by_qpdf(streams, tmp_path, tool).items()}
    found = look(b"j" * before + streams + b"\0" * behind, formats=["PDF"])
    assert objects(found) == expected
    assert found.formats == ["PDF"]


@pytest.mark.parametrize(
    "options",
    [
        ["--linearize"],
        ["--linearize", "--object-streams=generate"],
        ["--encrypt", "u", "o", "256", "--"],
        ["--encrypt", "u", "o", "128", "--use-aes=y", "--"],
        ["--allow-weak-crypto", "--encrypt", "u", "o", "40", "--"],
        ["--compress-streams=n"],
    ],
    ids=" ".join,
)
def test_files_that_qpdf_writes(
    options: list[str], tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool("qpdf", *options, DATA / "polyglot.pdf", "made.pdf")
    found = look(tmp_path / "made.pdf")
    assert objects(found) == by_qpdf(found.content, tmp_path, tool)
    assert found.formats == ["PDF"]
    for where in found.named("startxref").values():
        assert all(found.content[start:end].startswith(b"startxref") for start, end in where)


def layout(*bodies: bytes) -> tuple[bytes, list[int]]:
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<</Size %d/Root 1 0 R/Encrypt 2 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(bodies) + 1,
        table,
    )
    return bytes(out), offsets


@pytest.mark.parametrize(
    "handler",
    [
        b"<</Filter/Adobe.PubSec/SubFilter/adbe.pkcs7.s4/V 4>>",
        b"<</Filter/Own/V 1>>",
        b"<</Filter/Standard/V 5/R 6>>",
    ],
)
def test_an_encryption_nobody_knows_hides_no_layout(handler: bytes, look: Callable[..., Found]) -> None:
    content, offsets = layout(
        b"<</Type/Catalog>>", handler, b"<</Length 4 0 R>>stream\nendobj\nendstream", b"6"
    )
    found = look(content)
    assert [where[0][0] for where in found.named("object ").values()] == offsets
    assert found.bytes_of("stream") == b"endobj"  # the length that is an object of its own is believed
    assert found.formats == ["PDF"]


def test_a_newer_table_frees_what_an_older_one_has(
    plain: bytes, tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    old = plain.rindex(b"xref\n0")
    table = b"xref\n0 1\n0000000005 65535 f \n5 1\n0000000000 00001 f \n"
    trailer = (
        re.search(rb"trailer\s*<<", plain[old:])[0]
        + b" /Prev %d " % old
        + plain[plain.index(b"trailer") :].split(b"<<", 1)[1].split(b"startxref")[0]
    )
    content = plain + table + trailer + b"startxref\n%d\n%%%%EOF\n" % len(plain)
    found = look(content)
    assert objects(found) == by_qpdf(content, tmp_path, tool)
    assert 5 not in objects(found)
    assert found.formats == ["PDF"]


def predicted(rows: list[bytes]) -> bytes:
    """Filter rows as PNG does (RFC 2083, 6), each by another of its five kinds."""
    out, above = b"", bytes(len(rows[0]))
    for number, row in enumerate(rows):
        kind, left, corner = number % 5, b"\0" + row[:-1], b"\0" + above[:-1]
        guesses = []
        for a, b, c in zip(left, above, corner, strict=True):
            nearest = min((abs(a + b - c - each), at) for at, each in enumerate((a, b, c)))[1]
            guesses.append((0, a, b, (a + b) // 2, (a, b, c)[nearest])[kind])
        out += bytes([kind]) + bytes((x - guess) % 256 for x, guess in zip(row, guesses, strict=True))
        above = row
    return out


@pytest.mark.parametrize("way", ["plain", "deflated", "predicted", "a length elsewhere", "no length"])
def test_a_stream_of_references_in_subsections(
    way: str, tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    bodies = {number: b"<</Number %d>>" % number for number in (1, 2, 7, 8, 9, 20)}
    bodies[1] = b"<</Type/Catalog/Pages 2 0 R>>"
    bodies[2] = b"<</Type/Pages/Kids[]/Count 0>>"
    out, offsets = bytearray(b"%PDF-1.7\n"), {}
    for number, body in bodies.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    offsets[21], offsets[22] = len(out), 0
    rows = [b"\0\0\0\xff"] + [
        b"\1" + offsets[number].to_bytes(2, "big") + b"\0" for number in (1, 2, 7, 8, 9, 20, 21)
    ]
    rows.append(b"\2\0\7\0")  # in a stream of objects
    data = predicted(rows) if way == "predicted" else b"".join(rows)
    more = b"/DecodeParms<</Predictor 15/Columns 4>>" if way == "predicted" else b""
    if way in ("deflated", "predicted"):
        data, more = zlib.compress(data), more + b"/Filter/FlateDecode"
    length = {"a length elsewhere": b"/Length 20 0 R", "no length": b""}.get(way, b"/Length %d" % len(data))
    out += (
        b"21 0 obj\n<</Type/XRef/Size 23/Root 1 0 R/W[1 2 1]/Index[0 3 7 3 20 3]%s%s>>stream\n%s\nendstream\nendobj\n"
        % (more, length, data)
    )
    content = bytes(out) + b"startxref\n%d\n%%%%EOF\n" % offsets[21]
    found = look(content)
    assert objects(found) == {number: at for number, at in offsets.items() if at}
    assert found.formats == ["PDF"]
    if "length" not in way:
        assert objects(found) == by_qpdf(content, tmp_path, tool)


@pytest.mark.parametrize("which", ["plain", "streams"])
def test_offsets_count_from_the_header_that_startxref_fits(
    which: str, request: pytest.FixtureRequest, look: Callable[..., Found]
) -> None:
    """Before the file stands something else that begins as a PDF."""
    sound = request.getfixturevalue(which)
    expected = objects(look(sound))
    junk = b"%PDF-1.0 is what somebody wrote here\n" + b"j" * 500 + b"\n"
    found = look(junk + sound)
    assert objects(found) == {number: at + len(junk) for number, at in expected.items()}
    assert found.formats == ["PDF"]


def test_objects_in_a_stream_are_not_those_of_the_file(look: Callable[..., Found]) -> None:
    inner = b"1 0 obj\n<</Type/Inner>>\nendobj\n"
    content, offsets = layout(
        b"<</Type/Catalog>>", b"<</Length %d>>stream\n%s\nendstream" % (len(inner), inner)
    )
    found = look(content.replace(b"startxref", b"startxxxx"))
    assert [where[0][0] for where in found.named("object ").values()] == offsets
    assert "object 1 0 Catalog" in found.named("object ")


def test_objects_that_are_nowhere_are_counted(look: Callable[..., Found]) -> None:
    content, offsets = layout(b"<</Type/Catalog>>", b"<<>>", b"<<>>")
    found = look(content.replace(b"3 0 obj", b"3 0 xxx"))
    assert [where[0][0] for where in found.named("object ").values()] == offsets[:2]
    assert "1 objects are nowhere" in found.formats[0]


def test_a_pdf_stored_in_another_container_is_not_the_files(
    tmp_path: Path, plain: bytes, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    (tmp_path / "padding.bin").write_bytes(bytes(5000))
    (tmp_path / "a.pdf").write_bytes(plain)
    tool("zip", "-0", "stored.zip", "padding.bin", "a.pdf")
    tool("bsdtar", "cf", "stored.tar", "padding.bin", "a.pdf")
    assert look(tmp_path / "stored.zip").formats == ["ZIP"]
    assert look(tmp_path / "stored.tar").formats == ["tar"]
