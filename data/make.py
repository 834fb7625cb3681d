"""Make the sample files of this folder: the same bytes on every run, on every Python.

    python data/make.py            # writes beside this script
    python data/make.py DIRECTORY

Nothing is compressed (deflate data is kept in stored blocks), so that the bytes can be read in a hex view and do
not depend on the version of zlib. Clocks are not asked: every timestamp is 1980-01-01, the oldest a ZIP can hold.
Everything is made up here and in the public domain.
"""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import tarfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Entries = dict[str, bytes]

DOS_DATE = 1 << 5 | 1  # 1980-01-01
UNIX_TIME = 315532800  # the same day
STORED_BLOCK = 0xFFFF
READ_AHEAD = (
    512  # bytes of zero before the ZIP in the PDF: poppler reads up to 256 bytes further than it needs
)
CAVITY = (
    24 * 1024
)  # of which unzip, which reads blocks of 8 KiB, touches the first and the last third at most
IN_CAVITY = 8640  # where the hidden PNG begins: behind the first block of 8 KiB


def noise(name: str, length: int) -> bytes:
    """Give bytes that look random and are always the same for one name."""
    blocks = (hashlib.sha256(f"{name} {number}".encode()).digest() for number in range(-(-length // 32)))
    return b"".join(blocks)[:length]


def number_lines(first: int, last: int) -> list[str]:
    """Write a table of squares and cubes, one line a number."""
    return [f"{n:5d}   squared {n**2:9d}   cubed {n**3:12d}   binary {n:012b}" for n in range(first, last)]


def letter(subject: str) -> bytes:
    """Write a short text that says what it is."""
    return f"This is the text of {subject}.\nIt was made by data/make.py and belongs to nobody.\n".encode()


def deflate_stored(content: bytes) -> bytes:
    """Wrap bytes as deflate data without compressing them (RFC 1951, 3.2.4)."""
    blocks = [content[at : at + STORED_BLOCK] for at in range(0, len(content), STORED_BLOCK)] or [b""]
    last = len(blocks) - 1
    return b"".join(
        struct.pack("<BHH", number == last, len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks)
    )


def local_entry(name: str, content: bytes) -> bytes:
    """Write a local file header and the stored bytes behind it (APPNOTE 4.3.7)."""
    fields = (20, 0, 0, 0, DOS_DATE, zlib.crc32(content), len(content), len(content), len(name), 0)
    return b"PK\x03\x04" + struct.pack("<5H3I2H", *fields) + name.encode() + content


def central_entry(name: str, content: bytes, offset: int) -> bytes:
    """Write the central directory's record of one entry (APPNOTE 4.3.12)."""
    fields = (20, 20, 0, 0, 0, DOS_DATE, zlib.crc32(content), len(content), len(content), len(name))
    return b"PK\x01\x02" + struct.pack("<6H3I5H2I", *fields, 0, 0, 0, 0, 0, offset) + name.encode()


def zip_archive(entries: Entries, *, base: int = 0, comment: bytes = b"", cavity: bytes = b"") -> bytes:
    """Write a ZIP whose offsets count from `base`, with `cavity` behind its first entry, where nobody looks."""
    body, directory = b"", b""
    for number, (name, content) in enumerate(entries.items()):
        directory += central_entry(name, content, base + len(body))
        body += local_entry(name, content) + (cavity if number == 0 else b"")
    counts = (0, 0, len(entries), len(entries), len(directory), base + len(body), len(comment))
    return body + directory + b"PK\x05\x06" + struct.pack("<4H2IH", *counts) + comment


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Write one chunk: length, type, content, CRC of type and content."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_parts(side: int = 96) -> tuple[bytes, bytes]:
    """Draw a grey square of interfering rings; give everything before IEND, and IEND."""
    rows = b"".join(b"\0" + bytes((x * x + y * y) // 24 & 0xFF for x in range(side)) for y in range(side))
    data = b"\x78\x01" + deflate_stored(rows) + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data),
        png_chunk(b"IEND", b""),
    )


def pdf_stream(content: bytes) -> bytes:
    """Write the dictionary and the bytes of a PDF stream."""
    return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)


def pdf_page(lines: list[str]) -> bytes:
    """Write the drawing commands that show lines of text from the top of a page."""
    shown = "\n".join(f"({line}) Tj T*" for line in lines)
    return f"BT /F1 9 Tf 11 TL 50 800 Td\n{shown}\nET".encode()


def pdf_objects(pages: list[bytes]) -> list[bytes]:
    """Write catalog, page tree, font, and for each page its dictionary and its content."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    for number, page in enumerate(pages):
        description = (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>"
        )
        objects += [description.encode(), pdf_stream(page)]
    return objects


def pdf_tail(offsets: list[int], table_at: int) -> bytes:
    """Write the cross-reference table, the trailer and the end of a PDF."""
    rows = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(offsets) + 1
    return (
        f"xref\n0 {count}\n0000000000 65535 f \n{rows}"
        f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table_at}\n%%EOF\n"
    ).encode()


def polyglot_pdf() -> bytes:
    """Hide a ZIP in a PDF stream no page refers to; the rest of the PDF is the comment of the ZIP."""
    entries = {
        "hidden.txt": letter("a file hidden in a PDF"),
        "noise.bin": noise("pdf", 20 * 1024),
        "numbers.csv": "\n".join(number_lines(1000, 1100)).encode(),
    }
    lines = [
        "A PDF of three pages, and a ZIP: try both `pdftotext` and `unzip -l`.",
        "",
        *number_lines(1, 209),
    ]
    head, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for content in pdf_objects([pdf_page(lines[at : at + 70]) for at in range(0, len(lines), 70)]):
        offsets.append(len(head))
        head += b"%d 0 obj\n%b\nendobj\n" % (len(offsets), content)
    offsets.append(len(head))
    length = READ_AHEAD + len(zip_archive(entries))
    head += b"%d 0 obj\n<< /Length %d >>\nstream\n" % (len(offsets), length)
    head += bytes(READ_AHEAD)
    tail = b"\nendstream\nendobj\n"
    tail += pdf_tail(offsets, len(head) - READ_AHEAD + length + len(tail))
    return head + zip_archive(entries, base=len(head), comment=tail)


def polyglot_png() -> bytes:
    """Hide a ZIP in a private chunk of a PNG; the end of the PNG is the comment of the ZIP."""
    entries = {"hidden.txt": letter("a file hidden in a PNG"), "noise.bin": noise("png", 16 * 1024)}
    front, end = png_parts()
    base = len(front) + 8
    plain = zip_archive(entries, base=base)
    comment_length = struct.pack("<H", 4 + len(end))
    return front + png_chunk(b"zpIp", plain[:-2] + comment_length) + end


def cavity_zip() -> bytes:
    """Leave a hole of zero bytes between the first and the second entry of a ZIP."""
    return zip_archive(
        {"first.txt": letter("the first entry"), "second.bin": noise("second", 16 * 1024)},
        cavity=bytes(CAVITY),
    )


def hidden_png_zip() -> bytes:
    """Put a whole PNG into the hole between two entries of a ZIP."""
    entries = {"first.txt": letter("the first entry"), "second.bin": noise("second", 16 * 1024)}
    before = IN_CAVITY - len(local_entry("first.txt", entries["first.txt"]))
    picture = b"".join(png_parts())
    return zip_archive(entries, cavity=bytes(before) + picture + bytes(CAVITY - before - len(picture)))


def notes_tar_gz() -> bytes:
    """Pack three files into a tar, and the tar into a gzip member (RFC 1952) that names it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in (
            ("notes/letter.txt", letter("the letter")),
            ("notes/numbers.csv", "\n".join(number_lines(1, 101)).encode()),
            ("notes/noise.bin", noise("tar", 8 * 1024)),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), UNIX_TIME
            archive.addfile(member, io.BytesIO(content))
    content = packed.getvalue()
    header = struct.pack("<4BI2B", 0x1F, 0x8B, 8, 8, UNIX_TIME, 0, 255) + b"notes.tar\0"
    return header + deflate_stored(content) + struct.pack("<2I", zlib.crc32(content), len(content))


SAMPLES: dict[str, Callable[[], bytes]] = {
    "cavity.zip": cavity_zip,
    "hidden-png.zip": hidden_png_zip,
    "notes.tar.gz": notes_tar_gz,
    "polyglot.pdf": polyglot_pdf,
    "polyglot.png": polyglot_png,
}
"""File name → function that makes its bytes."""


def main(directory: Path) -> None:
    """Write every sample into a directory."""
    for name, make in SAMPLES.items():
        content = make()
        (directory / name).write_bytes(content)
        print(f"{name:16} {len(content):6d} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
