r"""Process names as CSV cells: harmless to a spreadsheet and a terminal, and given back exactly.

A process chooses its own name, so a cell may start a formula (`=cmd|…`) or hold an escape sequence. `cell` makes three
changes, `name` undoes them:

- a backslash that already begins one of the escapes below becomes `\x5c`;
- characters that must not reach a terminal (those `fmrw.text.visible` replaces) become `\xNN` (ASCII), `\uNNNN` or
  `\UNNNNNNNN`;
- an apostrophe is put before a name that begins with `= + - @`, their full-width forms, or an apostrophe. Tab and
  carriage return, which spreadsheets skip before a formula, are escapes by then.

Names without any of these, which is nearly all, stay as they are.
"""

from __future__ import annotations

import re

from fmrw.text import visible

_ESCAPE = re.compile(r"\\(?:x([01][0-9a-f]|7f|5c)|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_BACKSLASH = re.compile(rf"\\(?={_ESCAPE.pattern[2:]})")
_FORMULA = tuple("=+-@'\uff1d\uff0b\uff0d\uff20")
_LAST_ASCII = 0x7F
_LAST_CHARACTER = 0x10FFFF


def cell(name: str) -> str:
    r"""Make the cell of a process name.

    Examples
    --------
    >>> cell("7z"), cell("=1+2"), cell("a\x1b[31m")
    ('7z', "'=1+2", 'a\\x1b[31m')
    """
    escaped = "".join(map(_escaped, _BACKSLASH.sub(lambda _: r"\x5c", name)))
    return f"'{escaped}" if escaped.startswith(_FORMULA) else escaped


def name(cell: str) -> str:
    """Give the process name that `cell` made the cell of."""
    return _ESCAPE.sub(_character, cell.removeprefix("'"))


def _escaped(character: str) -> str:
    if visible(character) == character:
        return character
    code = ord(character)
    if code <= _LAST_ASCII:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the range of \uNNNN


def _character(found: re.Match[str]) -> str:
    code = int(found[1] or found[2] or found[3], 16)
    is_surrogate = 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - no text can hold one; nor did `cell` write it
    return found[0] if is_surrogate or code > _LAST_CHARACTER else chr(code)
