"""SQLite databases (file format 3): which table or index each page belongs to.

The trees are walked from the schema; of cells no more is read than whether they go on in overflow pages. Neighbouring pages of
the same use are one part. No page is visited twice, and no more than `MOST` in all.
"""

from __future__ import annotations

import struct
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from fmrw.analysis.structure.parts import Damaged, Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 500_000
"""Pages whose content is looked at."""

_MAGIC = b"SQLite format 3\0"
_HEADER = 100
_INDEX, _TABLE, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_LOCK_AT = 1 << 30
_LONGEST_NAME = 200


class Sizes(NamedTuple):
    """Bytes in a page, bytes of it in use, and pages in the file."""

    page: int
    usable: int
    pages: int


def is_sqlite(source: Source) -> bool:
    """Say whether the file begins with the magic of a database."""
    return source.at(0, 16) == _MAGIC


def sqlite_parts(source: Source) -> Iterator[Part]:
    """Yield the header and all pages by their use."""
    stated, reserved = source.fields(">H2xB", 16, "the header")
    page = 65_536 if stated == 1 else stated
    if page < 512 or page & (page - 1) or page - reserved < 480:  # noqa: PLR2004 - limits of the format
        yield Part(0, _HEADER, "database header")
        raise Damaged(f"pages of {page} bytes")
    yield Part(0, _HEADER, "database header", 2)
    walk = _Walk(source, Sizes(page, page - reserved, -(-source.size // page)))
    walk.all()
    yield from walk.parts()
    in_header, version, valid = (
        source.fields(">I4xI", 28, "the header")[0],
        *source.fields(">I64xI", 24, "the header"),
    )
    if version == valid and in_header * page > source.size:
        raise Damaged(f"{in_header:,} pages are stated, and the file has {walk.sizes.pages:,}")
    if walk.problem:
        raise Damaged(walk.problem)


class _Walk:
    """A walk over the pages; `uses` says what each page, counted from 1, is for."""

    def __init__(self, source: Source, sizes: Sizes) -> None:
        self.source, self.sizes = source, sizes
        self.uses, self.problem = dict[int, str](), ""

    def all(self) -> None:
        vacuum = self.source.fields(">I", 52, "the header")[0]
        lock = _LOCK_AT // self.sizes.page + 1
        if lock <= self.sizes.pages:
            self.uses[lock] = "lock bytes"
        maps = range(2, self.sizes.pages + 1 if vacuum else 0, self.sizes.usable // 5 + 1)
        for number in maps[: MOST // 2]:
            self.uses.setdefault(number + (number == lock), "pointer map")
        self._free(self.source.fields(">I", 32, "the header")[0])
        roots: list[tuple[str, int]] = []
        self._tree("sqlite_schema", 1, roots)
        for title, root in roots:
            self._tree(title, root, None)

    def parts(self) -> Iterator[Part]:
        """Yield runs of pages of the same use."""
        size = self.sizes.page
        for use, same in groupby(self._runs(), itemgetter(2)):
            pieces = list(same)
            first, last = pieces[0][0], pieces[-1][1]
            pages = f"page {first}" if first == last else f"pages {first}-{last}"
            yield Part((first - 1) * size, min(last * size, self.source.size), f"{pages}: {use}")

    def _runs(self) -> Iterator[tuple[int, int, str]]:
        """Yield first page, last page and use: of each page that has one, and of what lies between, which may be thousands of millions."""
        following = 1
        for number, use in sorted(self.uses.items()):
            if number > following:
                yield following, number - 1, "unreferenced"
            yield number, number, use
            following = number + 1
        if following <= self.sizes.pages:
            yield following, self.sizes.pages, "unreferenced"

    def _taken(self, number: int, use: str) -> bool:
        """Note the use of a page; say no if it is none, or is used already."""
        if not 1 <= number <= self.sizes.pages or number in self.uses or len(self.uses) >= MOST:
            if number:
                self.problem = self.problem or f"page {number} is none, or is used twice ({use})"
            return False
        self.uses[number] = use
        return True

    def _page(self, number: int) -> bytes:
        return self.source.at((number - 1) * self.sizes.page, self.sizes.page)

    def _free(self, trunk: int) -> None:
        while trunk and self._taken(trunk, "free (list)"):
            content = self._page(trunk)
            following, count = struct.unpack_from(">2I", content.ljust(8, b"\0"))
            count = min(count, len(content) // 4 - 2)
            for leaf in struct.unpack_from(f">{count}I", content, 8):
                self._taken(leaf, "free")
            trunk = following

    def _tree(self, title: str, root: int, found: list[tuple[str, int]] | None) -> None:
        """Note the pages of a tree; add to `found` what the rows of the schema say."""
        leaf, interior, overflow = f"leaf of {title}", f"interior of {title}", f"overflow of {title}"
        waiting = [root]
        while waiting:
            number = waiting.pop()
            if number in self.uses or not 1 <= number <= self.sizes.pages:
                self._taken(number, title)
                continue
            content, head = self._page(number), _HEADER if number == 1 else 0
            kind = content[head] if len(content) > head + 12 else 0
            if not self._taken(number, leaf if kind in (_INDEX_LEAF, _TABLE_LEAF) else interior):
                continue
            if kind not in (_INDEX, _TABLE, _INDEX_LEAF, _TABLE_LEAF):
                self.problem = self.problem or f"page {number} of {title} is no page of a tree"
                continue
            cells = _cells(content, head, kind)
            if kind in (_INDEX, _TABLE):
                waiting += [int.from_bytes(content[at : at + 4], "big") for at in cells]
                waiting.append(int.from_bytes(content[head + 8 : head + 12], "big"))
            for at in cells if kind != _TABLE else ():
                self._cell(content, at, kind, overflow)
                if found is not None and kind == _TABLE_LEAF:
                    found += _schema_row(content, at)

    def _cell(self, content: bytes, at: int, kind: int, use: str) -> None:
        """Note the overflow pages of a cell, if its payload does not fit the page."""
        at += 4 if kind == _INDEX else 0
        usable = self.sizes.usable
        least = (usable - 12) * 32 // 255 - 23
        most = usable - 35 if kind == _TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if at >= len(content) or content[at] <= min(most, 0x7F):  # of most cells the first byte is enough
            return
        payload, at = _varint(content, at)
        if payload <= most:
            return
        if kind == _TABLE_LEAF:
            at = _varint(content, at)[1]
        here = least + (payload - least) % (usable - 4)
        at += here if here <= most else least
        number = int.from_bytes(content[at : at + 4], "big")
        while number and self._taken(number, use):
            number = int.from_bytes(self.source.at((number - 1) * self.sizes.page, 4), "big")


def _cells(content: bytes, head: int, kind: int) -> tuple[int, ...]:
    first = head + (12 if kind in (_INDEX, _TABLE) else 8)
    count = min(int.from_bytes(content[head + 3 : head + 5], "big"), (len(content) - first) // 2)
    return struct.unpack_from(f">{count}H", content, first)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(9):
        byte = content[at] if at < len(content) else 0
        at += 1
        if place == 8:  # noqa: PLR2004 - the ninth byte counts whole
            return value << 8 | byte, at
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the last byte
            break
    return value, at


def _schema_row(content: bytes, at: int) -> list[tuple[str, int]]:
    """Read of a row of the schema its type, name and root page, as far as they stand in this page."""
    start = _varint(content, _varint(content, at)[1])[1]
    length, place = _varint(content, start)
    body, columns = start + length, list[bytes]()
    while place < start + length and len(columns) < 4:  # noqa: PLR2004 - type, name, table, root page
        kind, place = _varint(content, place)
        size = (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]  # noqa: PLR2004 - text and blobs
        columns.append(content[body : body + size] if kind != 9 else b"\1")  # noqa: PLR2004 - the number 1
        body += size
    if len(columns) < 4:  # noqa: PLR2004 - as above
        return []
    root = int.from_bytes(columns[3], "big")
    shown = columns[1][:_LONGEST_NAME].decode("utf-8", "replace").replace("\0", "")
    return (
        [(f"{columns[0][:20].decode('utf-8', 'replace').replace(chr(0), '')} {shown}", root)] if root else []
    )
