"""Parts of a format by name: `ZIP end record`, `data of entry a.txt`, `trailer`.

A part is called by its own name, with its format before it or the part that holds it behind it, in upper or lower case. The usual other names of
ZIP's records are known. Where no name is the whole of what was asked, a part whose name has all its words is taken, if there is only one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmrw.analysis.structure.naming import is_bracket
from fmrw.errors import BadRange
from fmrw.offsets import Annotation
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

_OTHERWISE = {
    "end of central directory record": "end of central directory",
    "end record": "end of central directory",
    "eocd": "end of central directory",
    "local file header": "local header",
}
_MOST = 100  # parts of one name that are marked
_LISTED = 6


class _Part(NamedTuple):
    start: int
    end: int
    name: str
    format: str
    holder: str

    @property
    def full(self) -> str:
        """The name with the part that holds it."""
        return f"{self.name} of {self.holder}" if self.holder else self.name

    @property
    def names(self) -> set[str]:
        """All it may be called."""
        return {_plain(name) for own in (self.name, self.full) for name in (own, f"{self.format} {own}")}


def named(structure: pl.DataFrame, text: str) -> list[Annotation]:
    """Find the parts of a format that are called so.

    Parameters
    ----------
    structure
        Frame of `start`, `end`, `name`, `depth`, as `structure` gives it.
    text
        The name; case and blanks do not count.

    Returns
    -------
    list of Annotation
        In the order of the file: all parts of that name, each under its full one, at most 100.

    Raises
    ------
    BadRange
        No part is called so, or several different ones may be meant; the message lists parts.
    """
    parts = list(_parts(structure))
    wanted = _known(_plain(text))
    found = [part for part in parts if wanted in part.names]
    if not found:
        words = set(wanted.split())
        found = [
            part for part in parts if words and words <= set(_plain(f"{part.format} {part.full}").split())
        ]
        outer = [part for part in found if not part.holder]
        found = outer if len(outer) == 1 else found
        if len({(part.format, part.name) for part in found}) > 1:
            raise BadRange(
                f"'{visible(text)}' may be several parts: {_list(found)}; write one of these names."
            )
    if not found:
        known = f"there are {_list(parts)}. Write one of these, or" if parts else "no parts are known. Write"
        raise BadRange(
            f"no part of the format is called '{visible(text)}'; {known} a range such as 0x1c0-0x2000=NAME."
        )
    several = len(found) > 1
    return [Annotation(part.start, part.end, part.full if several else part.name) for part in found[:_MOST]]


def _parts(structure: pl.DataFrame) -> Iterator[_Part]:
    """Give every part with its format and the part of a smaller depth that holds it."""
    rows = structure.with_columns(bracket=is_bracket()).select("start", "end", "name", "depth", "bracket")
    called, holders = "", list[tuple[int, int, str]]()
    for start, end, name, depth, bracket in rows.iter_rows():
        if bracket:
            called, holders = name.partition(" (")[0], []
            yield _Part(start, end, called, "", "")
            continue
        holders = [holder for holder in holders if holder[0] < depth and end <= holder[1]]
        yield _Part(start, end, name, called, holders[-1][2] if holders else "")
        holders.append((depth, end, name))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _known(name: str) -> str:
    """Say it in the words that structures use."""
    for other, ours in _OTHERWISE.items():
        if name == other or name.endswith(f" {other}"):
            return f"{name.removesuffix(other)}{ours}"
    return name


def _list(parts: list[_Part]) -> str:
    names = list(dict.fromkeys(visible(part.full) for part in parts))
    return ", ".join(names[:_LISTED]) + (" and others" if len(names) > _LISTED else "")
