r"""Names as text: file names become strings reversibly, hostile characters become visible escapes.

File names are bytes. In the frame they are strings in which every byte that is not UTF-8 stands as `\xNN`
(`path_text`, undone by `path_bytes`). Whatever is *shown* — terminal, chart, caption — goes through `visible` too,
since a control character in a label aborts vl-convert and an escape sequence can rewrite a terminal.
"""

from __future__ import annotations

import re
import unicodedata

_LOOKS_ESCAPED = re.compile(rb"\\(?=x[0-9a-f]{2})")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def path_text(path: bytes) -> str:
    r"""Make a string of a file name; `path_bytes` gives the name back.

    Bytes that are not UTF-8 become `\xNN`. A backslash that already stands before `xNN` becomes `\x5c`, so that
    a file really called `\xff` keeps a name of its own.
    """
    return _LOOKS_ESCAPED.sub(rb"\\x5c", path).decode("utf-8", "backslashreplace")


def path_bytes(text: str) -> bytes:
    """Give the file name that `path_text` made the string of."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), text.encode("utf-8", "backslashreplace"))


def visible(text: str) -> str:
    r"""Replace what must not reach a terminal or a renderer by an escape that can be read.

    Control and format characters (C0, C1, bidirectional overrides, zero-width), surrogates, private use and
    non-characters (U+FFFE) become `\xNN`, `\uNNNN` or `\UNNNNNNNN`. Everything else stays.

    Examples
    --------
    >>> visible("a\x1b[31m")
    'a\\x1b[31m'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] != "C" and category not in ("Zl", "Zp"):
        return character
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004 - the range of \xNN
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the range of \uNNNN
