"""Make a corpus of odd ZIPs, to set parsers against each other: the same bytes on every run, on every Python.

    python data/corpus.py DIRECTORY          # 2,000 files, about 30 MB
    python data/corpus.py DIRECTORY 100

Each file is of one kind (`KINDS`), which its name says; sizes, entries and names differ from file to file. Each kind bends one rule of the format (PKWARE's
APPNOTE.TXT), or only uses what few programs do. Nothing is harmful: no file expands, names nothing outside, or hides a program.
Everything is made up here and in the public domain.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

COUNT = 2000
DOS_DATE = 1 << 5 | 1  # 1980-01-01
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END64, LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"
STORED, DEFLATED = 0, 8


def noise(name: str, length: int) -> bytes:
    """Give bytes that look random and are always the same for one name."""
    return hashlib.shake_256(name.encode()).digest(length)


def number(name: str, least: int, most: int) -> int:
    """Give a number between two others that is always the same for one name."""
    return least + int.from_bytes(noise(name, 8)) % (most - least + 1)


@dataclass(frozen=True)
class Entry:
    """A file in an archive, and what its two headers say of it.

    Attributes
    ----------
    before : bytes
        What lies before its local header and belongs to nobody.
    local_name : str
        Its name in the local header; "": the same as in the directory.
    """

    name: str
    content: bytes
    method: int = STORED
    local_name: str = ""
    before: bytes = b""
    flags: int = 0
    wrong_crc: bool = False
    descriptor: bool = False
    zip64: bool = False

    def data(self) -> bytes:
        """Give the bytes as they lie in the archive."""
        if self.method == STORED:
            return self.content
        packer = zlib.compressobj(0, zlib.DEFLATED, -15)  # stored blocks, whatever the version of zlib
        return packer.compress(self.content) + packer.flush()

    @property
    def crc(self) -> int:
        """The checksum that the headers give."""
        return zlib.crc32(self.content) ^ self.wrong_crc

    def sizes(self) -> tuple[int, int]:
        """Give the packed and the plain size."""
        return len(self.data()), len(self.content)

    def local(self) -> bytes:
        """Give the local header, the data and, where there is one, the descriptor behind them."""
        name, (packed, plain) = (self.local_name or self.name).encode(), self.sizes()
        extra, flags = b"", self.flags | (8 if self.descriptor else 0)
        told = (0, 0, 0) if self.descriptor else (self.crc, packed, plain)
        if self.zip64:
            extra, told = struct.pack("<HHQQ", 1, 16, plain, packed), (self.crc, 0xFFFFFFFF, 0xFFFFFFFF)
        head = struct.pack(
            "<4s5H3I2H",
            LOCAL,
            45 if self.zip64 else 20,
            flags,
            self.method,
            0,
            DOS_DATE,
            *told,
            len(name),
            len(extra),
        )
        behind = struct.pack("<4s3I", b"PK\x07\x08", self.crc, packed, plain) if self.descriptor else b""
        return head + name + extra + self.data() + behind

    def central(self, offset: int) -> bytes:
        """Give the entry of the directory."""
        name, (packed, plain) = self.name.encode(), self.sizes()
        extra, flags = b"", self.flags | (8 if self.descriptor else 0)
        told = (self.crc, packed, plain)
        if self.zip64:
            extra, told = (
                struct.pack("<HHQQQ", 1, 24, plain, packed, offset),
                (self.crc, 0xFFFFFFFF, 0xFFFFFFFF),
            )
            offset = 0xFFFFFFFF
        return (
            struct.pack("<4s6H3I5H2I", CENTRAL, 45 if self.zip64 else 20, 20, flags, self.method, 0, DOS_DATE, *told,
                        len(name), len(extra), 0, 0, 0, 0, offset)
            + name + extra
        )  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """An archive, and where it departs from the plain one.

    Attributes
    ----------
    base : int
        Added to all offsets: what lies before the archive, where its offsets count from the file's start.
    off, more : int
        By how much the directory's offset and the number of entries are wrong.
    between, gap : bytes
        What lies before the directory, and between it and its end record.
    """

    entries: tuple[Entry, ...]
    comment: bytes = b""
    base: int = 0
    off: int = 0
    more: int = 0
    said_comment: int | None = None
    between: bytes = b""
    gap: bytes = b""
    zip64: bool = False
    left_out: frozenset[int] = field(default_factory=frozenset)

    def build(self) -> bytes:
        """Give the archive's bytes."""
        body, directory, count = b"", b"", 0
        for place, entry in enumerate(self.entries):
            body += entry.before
            if place not in self.left_out:
                directory += entry.central(self.base + len(body))
                count += 1
            body += entry.local()
        body += self.between
        start = self.base + len(body) + self.off
        told = len(self.comment) if self.said_comment is None else self.said_comment
        end = (
            struct.pack(
                "<4s4H2IH", END, 0, 0, count + self.more, count + self.more, len(directory), start, told
            )
            + self.comment
        )
        if self.zip64:
            at = self.base + len(body) + len(directory)
            end = (
                struct.pack("<4sQ2H2I4Q", END64, 44, 45, 45, 0, 0, count, count, len(directory), start)
                + struct.pack("<4sIQI", LOCATOR64, 0, at, 1)
                + struct.pack("<4s4H2IH", END, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
            )
        return body + directory + self.gap + end


def plain(name: str) -> Archive:
    """Make an archive without oddities, of one to six entries of up to 32 KiB."""
    entries = tuple(
        Entry(
            f"{'folder/' if place % 3 == 2 else ''}{place}-{number(f'{name}{place}n', 0, 999)}.{'txt' if place % 2 else 'bin'}",  # noqa: PLR2004 - now and then
            noise(f"{name}{place}", number(f"{name}{place}s", 0, 1 << number(f"{name}{place}e", 4, 15))),
            DEFLATED if number(f"{name}{place}m", 0, 2) == 0 else STORED,
        )
        for place in range(number(f"{name}c", 1, 6))
    )
    return Archive(entries)


def first(archive: Archive, **changes: object) -> Archive:
    """Change the first entry."""
    return replace(archive, entries=(replace(archive.entries[0], **changes), *archive.entries[1:]))  # type: ignore[arg-type]  # its fields


def every(archive: Archive, **changes: object) -> Archive:
    """Change all entries."""
    return replace(archive, entries=tuple(replace(entry, **changes) for entry in archive.entries))  # type: ignore[arg-type]  # as above


def junk(name: str) -> bytes:
    """Give bytes that belong to nobody, up to 16 KiB, often of few."""
    return noise(f"{name}j", number(f"{name}l", 1, 1 << number(f"{name}k", 0, 14)))


def doubled(name: str) -> bytes:
    """Make a file that has two whole archives, one behind the other, each with offsets from its own start."""
    return plain(f"{name}a").build() + plain(f"{name}b").build()


def two_directories(name: str) -> bytes:
    """Make an archive whose directory stands there twice, the second time with one entry only."""
    archive = plain(name)
    whole = archive.build()
    end = whole.rindex(END)
    start = struct.unpack_from("<I", whole, end + 16)[0]
    one = archive.entries[0].central(0)
    again = struct.pack("<4s4H2IH", END, 0, 0, 1, 1, len(one), end, 0)
    return whole[:end] + one + again if start < end else whole


KINDS = {
    "plain": lambda name: plain(name).build(),
    "comment": lambda name: replace(plain(name), comment=junk(name)).build(),
    "comment-with-end": lambda name: replace(plain(name), comment=noise(name, 30) + END + bytes(18) + noise(name, 9)).build(),
    "comment-too-long": lambda name: replace(plain(name), comment=b"short", said_comment=5 + number(f"{name}x", 1, 500)).build(),
    "comment-too-short": lambda name: replace(plain(name), comment=noise(name, 40), said_comment=number(f"{name}x", 0, 39)).build(),
    "prefix": lambda name: junk(name) + plain(name).build(),
    "prefix-counted": lambda name: junk(name) + replace(plain(name), base=len(junk(name))).build(),
    "suffix": lambda name: plain(name).build() + junk(name),
    "suffix-zeros": lambda name: plain(name).build() + bytes(number(f"{name}z", 1, 70_000)),
    "gap-in-front": lambda name: first(plain(name), before=junk(name)).build(),
    "gap-everywhere": lambda name: every(plain(name), before=junk(name)).build(),
    "gap-before-directory": lambda name: replace(plain(name), between=junk(name)).build(),
    "gap-behind-directory": lambda name: replace(plain(name), gap=junk(name)).build(),
    "doubled": doubled,
    "two-directories": two_directories,
    "not-in-directory": lambda name: replace(plain(name), left_out=frozenset({0})).build(),
    "zip64": lambda name: replace(every(plain(name), zip64=True), zip64=True).build(),
    "zip64-end-only": lambda name: replace(plain(name), zip64=True).build(),
    "other-local-name": lambda name: first(plain(name), local_name="another.txt").build(),
    "wrong-checksum": lambda name: first(plain(name), wrong_crc=True).build(),
    "descriptors": lambda name: every(plain(name), descriptor=True).build(),
    "said-encrypted": lambda name: first(plain(name), flags=1).build(),
    "unknown-method": lambda name: first(plain(name), method=STORED, flags=0, content=b"") .build().replace(b"\x14\x00\x00\x00\x00\x00", b"\x14\x00\x00\x00\x63\x00"),
    "one-too-many": lambda name: replace(plain(name), more=1).build(),
    "one-too-few": lambda name: replace(plain(name), more=-1).build(),
    "directory-elsewhere": lambda name: replace(plain(name), off=number(f"{name}o", 1, 400)).build(),
    "one-name-twice": lambda name: every(plain(name), name="same.txt").build(),
    "empty": lambda name: Archive(()).build() + b"" * len(name),
    "cut": lambda name: plain(name).build()[: -number(f"{name}x", 1, 60)],
    "head-cut": lambda name: plain(name).build()[number(f"{name}x", 1, 60) :],
    "nothing": lambda name: b"" * len(name),
    "only-noise": junk,
}  # fmt: skip
"""Name of a kind → function of a file's name that gives its bytes."""


def main(folder: Path, count: int = COUNT) -> None:
    """Write the corpus: a folder for each kind."""
    for place in range(count):
        kind = list(KINDS)[place % len(KINDS)]
        path = folder / kind / f"{place // len(KINDS):04}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(KINDS[kind](f"{kind} {place}"))
    print(f"{count:,} files in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
