"""The words of PDF as patterns over bytes: white space, comments, dictionaries, numbers in them.

All repetitions of what may stand between two words are possessive: a file made to be slow cannot make them go back.
"""

from __future__ import annotations

import re

SPACE = b"\0\t\n\f\r "
GAP = rb"(?>[\0\t\n\f\r ]+|%[^\r\n]*+)*+"
"""White space and comments between two words."""

OBJECT = re.compile(GAP + rb"(\d{1,10})" + GAP + rb"(?<!\d)(\d{1,10})" + GAP + rb"(?<!\d)obj")
STREAM = re.compile(rb">>" + GAP + rb"stream(?:\r\n|\n|\r)")
_PIECE = re.compile(rb"<<|>>|\((?:[^\\()]|\\.)*+\)|%[^\r\n]*+", re.DOTALL)


def dictionary_end(content: bytes, at: int = 0) -> int:
    """Give where the first dictionary in `content` ends, or -1; parentheses in strings must be balanced by backslashes."""
    depth = 0
    for piece in _PIECE.finditer(content, at):
        if piece[0] == b"<<":
            depth += 1
        elif piece[0] == b">>":
            depth -= 1
            if depth <= 0:
                return piece.end()
    return -1


def number(dictionary: bytes, key: bytes) -> int | None:
    """Give the whole number behind a key; None if there is none, or a reference."""
    found = re.search(
        rb"/"
        + key
        + rb"(?![A-Za-z0-9])"
        + GAP
        + rb"\+?(\d{1,18})(?!\d|[\0\t\n\f\r ]{1,8}\d{1,9}[\0\t\n\f\r ]{1,8}R)",
        dictionary,
    )
    return int(found[1]) if found else None


def reference(dictionary: bytes, key: bytes) -> int | None:
    """Give the number of the object a key refers to."""
    found = re.search(
        rb"/" + key + rb"[\0\t\n\f\r ]{0,16}(\d{1,9})[\0\t\n\f\r ]{1,16}\d{1,9}[\0\t\n\f\r ]{1,16}R",
        dictionary,
    )
    return int(found[1]) if found else None


def numbers(dictionary: bytes, key: bytes) -> list[int]:
    """Give the whole numbers of an array behind a key."""
    found = re.search(rb"/" + key + GAP + rb"\[([^\]]{0,1000000}+)\]", dictionary)
    return [int(each) for each in re.findall(rb"\d{1,18}", found[1])] if found else []
