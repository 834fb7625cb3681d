r"""Names as text: file names become strings reversibly, hostile characters become visible escapes.

File names are bytes. In the frame they are strings in which every byte that is not UTF-8, and every character that rewrites a
terminal or the order of letters, stands as `\xNN` (`path_text`, undone by `path_bytes`): polars prints a frame as it is. Whatever is
*shown* by us — terminal, chart, caption — goes through `visible` too, since a control character in a label aborts vl-convert
and a recording may be a stranger's.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import unicodedata

_LOOKS_ESCAPED = re.compile(rb"\\(?=x[0-9a-f]{2})")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_ACTS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ufffe\uffff]"
)
"""C0, C1, line separators, bidirectional marks, annotations, non-characters; joiners stay, words of many languages need them."""


NO_FOLDER = (errno.EEXIST, errno.ENOTDIR)
"""Errors of who takes for a folder what is none."""


def path_text(path: bytes) -> str:
    r"""Make a string of a file name; `path_bytes` gives the name back.

    Bytes that are not UTF-8, and those of characters that act instead of being seen, become `\xNN`. A backslash that already
    stands before `xNN` becomes `\x5c`, so that a file really called `\xff` keeps a name of its own.
    """
    text = _LOOKS_ESCAPED.sub(rb"\\x5c", path).decode("utf-8", "backslashreplace")
    return text if text.isascii() and text.isprintable() else _ACTS.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode())


def name_text(name: str | os.PathLike[str]) -> str:
    """Make a string of a file name, or word of a command, that Python has decoded (PEP 383), as `path_text` does."""
    return path_text(os.fsencode(name))


def path_bytes(text: str) -> bytes:
    """Give the file name that `path_text` made the string of."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text.encode("utf-8", "backslashreplace"))


def visible(text: str) -> str:
    r"""Replace what must not reach a terminal or a renderer by an escape that can be read.

    Control and format characters (C0, C1, bidirectional overrides, zero-width), surrogates, private use and
    non-characters (U+FFFE) become `\xNN`, `\uNNNN` or `\UNNNNNNNN`. Everything else stays. A byte that Python could not decode
    (`os.fsdecode`, PEP 383) is shown as that byte, as `path_text` has it.

    Examples
    --------
    >>> visible("a\x1b[31m")
    'a\\x1b[31m'
    """
    if text.isprintable():  # of categories C and Z only the space is, so nothing would be replaced
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] != "C" and category not in ("Zl", "Zp"):
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - undecodable bytes
        code -= 0xDC00
    if code <= 0xFF:  # noqa: PLR2004 - the range of \xNN
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the range of \uNNNN


def typed(name: str | os.PathLike[str]) -> str:
    """Write a file name as a word of a command that can be copied: visible, and quoted where a shell would take it apart."""
    return visible(shlex.quote(os.fspath(name)))


def unwritten(place: str | bytes | os.PathLike[str], error: OSError) -> str:
    """Say why nothing could be written at a place: what stands where a folder must be, or what the system said."""
    shown = path = os.fsdecode(place)
    if error.errno in NO_FOLDER:
        while path and not os.path.lexists(path):
            path = os.path.dirname(path)  # noqa: PTH120 - "" of a name alone ends it
        if path and not os.path.isdir(path):  # noqa: PTH112 - raises nothing
            return f"{visible(path)} is not a folder"
    return f"{visible(shown)}: {error.strerror}"


def brief(text: str, most: int = 60) -> str:
    """Make a text visible, and cut the middle out of one that is longer than `most` characters: names of symbols have no bound."""
    text = visible(text)
    tail = most // 3
    return text if len(text) <= most else f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def percent(share: float, gap: str = "") -> str:
    """Write a share from 0 to 1 in percent, with one digit; what is not all is not called 100 %, nor something 0 %.

    Parameters
    ----------
    share
        A share.
    gap
        What stands before the sign.
    """
    if 0 < share < 0.0005:  # noqa: PLR2004 - what would be rounded to nothing
        return f"< 0.1{gap}%"
    if 0.9995 <= share < 1:  # noqa: PLR2004 - or to everything
        return f"> 99.9{gap}%"
    return f"{share:.1%}".replace("%", f"{gap}%")
