"""Find: where bytes or a text stand in a file, read piece by piece, forwards or backwards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from fmrw.errors import BadInput
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("text", "bytes", "UTF-16")
"""How a pattern may be written."""

PIECE = 4 << 20
"""Bytes read at once."""

_HEX = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}[\s:_-]*)+)")


class Readable(Protocol):
    """What can be searched; `Content` is one."""

    def content(self, start: int, end: int) -> tuple[bytes | None, str]:
        """Read bytes, or say why there are none."""


def pattern(text: str, kind: str = "text") -> bytes:
    """Make the bytes to look for.

    Parameters
    ----------
    text
        A text, or with `kind` "bytes" hexadecimal digits: "50 4b 03 04", "504b0304", "0x504b".
    kind
        One of `KINDS`; "text" is UTF-8, "UTF-16" little-endian.

    Raises
    ------
    BadInput
        Nothing to look for, or no hexadecimal digits.
    """
    if kind == "bytes":
        found = _HEX.fullmatch(text.strip())
        if found is None:
            raise BadInput(
                f"'{visible(text)}' is not bytes: write pairs of hexadecimal digits, such as 50 4b 03 04"
            )
        return bytes.fromhex(re.sub(r"[\s:_-]", "", found[1]))
    if not text:
        raise BadInput("nothing to look for: write a text, or bytes such as 50 4b 03 04")
    return text.encode("utf-16-le" if kind == "UTF-16" else "utf-8", "surrogateescape")


def find(
    source: Readable, wanted: bytes, size: int, start: int, *, backwards: bool = False,
    ended: Callable[[], bool] = lambda: False,
) -> int | None:  # fmt: skip
    """Give the first offset from `start` on at which `wanted` stands; backwards the last before `start`.

    Parameters
    ----------
    size
        Bytes in the file.
    ended
        Asked after each piece; True gives up.

    Returns
    -------
    int or None
        None where it stands nowhere, or the search was given up.

    Raises
    ------
    BadInput
        The file cannot be read.
    """
    more = len(wanted) - 1
    at = start
    while not ended() and (at > 0 if backwards else at < size):
        low = max(at - PIECE, 0) if backwards else at
        high = min(at if backwards else at + PIECE, size)
        piece, reason = source.content(low, min(high + more, size))
        if piece is None:
            raise BadInput(f"nothing can be searched: {reason}.")
        place = piece.rfind(wanted) if backwards else piece.find(wanted)
        if place >= 0:
            return low + place
        at = low if backwards else high
    return None
