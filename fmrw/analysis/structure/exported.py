"""Ranges that other programs write down: ImHex (patterns with their meta information, bookmarks) and Kaitai Struct.

ImHex, "export pattern data as JSON" with meta information: every structure is an object with `__address` and `__size`, numbers
as text, its members below (PatternLanguage, `formatter.hpp`); arrays are arrays. Bookmarks: `{"bookmarks": [{"name", "region":
{"address", "size"}}]}`. Kaitai: objects of a parser compiled with `--read-pos` or `--debug`, dumped with their `_debug`: for each field
`start` and `end`, of elements of arrays in `arr`; `ioOffset`, where the JavaScript runtime has it, is where the field's stream begins.
Nothing else in either says where a value stands, so that nothing else becomes a range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, object]

_LONGEST = 19  # digits of the largest offset


def exported(tree: dict[str, Any]) -> list[Row] | None:
    """Give the rows of an export, as one writes them by hand; None if it is none of a known program."""
    bookmarks = tree.get("bookmarks")
    if isinstance(bookmarks, list):
        return [_bookmark(each) for each in bookmarks]
    # what holds no byte is a value, no range
    rows = [row for row in _walk(tree) if not isinstance(row["end"], int) or row["start"] != row["end"]]
    return rows or None


def _bookmark(each: object) -> Row:
    if not isinstance(each, dict) or not isinstance(each.get("region"), dict):
        return {}
    start, size = each["region"].get("address"), each["region"].get("size")
    return {
        "start": start,
        "end": _sum(start, size),
        "name": each.get("name") or each.get("comment"),
        "depth": 1,
    }


def _walk(tree: object) -> Iterator[Row]:
    """Yield the ranges of all objects, outer before inner; a list of open ones, so that depth costs no stack."""
    waiting: list[tuple[str, object, int]] = [("", tree, 1)]
    while waiting:
        name, value, depth = waiting.pop()
        if isinstance(value, list):
            waiting += [(f"{name}[{at}]", each, depth) for at, each in reversed(list(enumerate(value)))]
        elif isinstance(value, dict):
            if "__address" in value and "__size" in value:
                start = _number(value["__address"])
                end = _sum(start, _number(value["__size"]))
                yield {
                    "start": start,
                    "end": end,
                    "name": name or str(value.get("__type", "")),
                    "depth": depth,
                }
                depth += 1
            if isinstance(value.get("_debug"), dict):
                yield from _fields(value["_debug"], depth)
                depth += 1
            inner = [
                (key, each, depth)
                for key, each in value.items()
                if key != "_debug" and not key.startswith("__")
            ]
            waiting += reversed(inner)


def _fields(places: dict[str, Any], depth: int) -> Iterator[Row]:
    for name, place in places.items():
        if not isinstance(place, dict):
            continue
        elements = place.get("arr")
        named = [(name, depth, place)]
        named += [
            (f"{name}[{at}]", depth + 1, each)
            for at, each in enumerate(elements if isinstance(elements, list) else ())
        ]
        for own, level, each in named:
            if isinstance(each, dict) and "start" in each and "end" in each:
                base = each.get("ioOffset", 0)
                yield {
                    "start": _sum(each["start"], base),
                    "end": _sum(each["end"], base),
                    "name": own,
                    "depth": level,
                }


def _number(value: object) -> object:
    """Read the digits ImHex writes numbers as; what is none stays, and is refused where rows are checked."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST
    return int(str(value)) if digits else value


def _sum(one: object, other: object) -> object:
    """Add two numbers; what is none stays, and is refused where rows are checked."""
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return other if isinstance(one, int) else one
