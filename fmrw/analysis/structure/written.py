"""Ranges a person wrote down, as a frame: CSV or JSON with `start`, `end`, `name` and, if wanted, `depth`.

Exports of ImHex and Kaitai are taken too (`exported`).

Offsets are numbers or text as `fmrw.offsets` reads it (`0x1c0`, `4 KiB`). Rows count from 1, the header of a CSV not
among them. Every mistake names its row; the first one found ends the reading, so that no wrong range gets through.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.analysis.structure.exported import exported
from fmrw.analysis.structure.parts import SCHEMA
from fmrw.errors import BadInput, BadRange
from fmrw.offsets import LARGEST, parse_offset
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

_LARGEST_FILE = 64 << 20
_HELP = "columns are start, end, name and, if wanted, depth"


def structure_from(path: str | PathLike[str]) -> pl.DataFrame:
    """Read a structure from a CSV file with a header, a JSON array of objects, or an export of ImHex or Kaitai.

    Returns
    -------
    frame of `start`, `end`, `name`, `depth`
        In the order of the file; `depth` is 0 where the file gives none.

    Raises
    ------
    BadInput
        Not readable, not CSV or JSON, larger than 64 MiB, or a row is wrong: its number and the reason.
    """
    shown = visible(str(path))
    text = _text(Path(path), shown)
    rows = _json_rows(text, shown) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text, shown)
    checked = [_row(row, f"{shown}: row {number}") for number, row in enumerate(rows, 1)]
    return pl.DataFrame(checked, schema=SCHEMA, orient="row")


def _text(path: Path, shown: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise BadInput(f"{shown}: larger than 64 MiB, too large for ranges written by hand; split it")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{shown}: {error.strerror}; give a CSV or JSON file that can be read") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{shown}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def _json_rows(text: str, shown: str) -> list[Any]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{shown}: not JSON ({error}); give an array of objects, {_HELP}") from None
    if isinstance(rows, dict):
        rows = exported(rows)
    if not isinstance(rows, list):
        raise BadInput(
            f"{shown}: a JSON object, not an array; put the rows into [ ], or export with positions (ImHex: meta information; Kaitai: --read-pos)"
        )
    return rows


def _csv_rows(text: str, shown: str) -> Iterable[dict[Any, Any]]:
    try:
        reader = csv.DictReader(text.splitlines(), strict=True)
        missing = {"start", "end", "name"} - set(reader.fieldnames or ())
        rows = list(reader)
    except csv.Error as error:
        raise BadInput(f"{shown}: not CSV ({error}); {_HELP}") from None
    if missing:
        raise BadInput(f"{shown}: no column {', '.join(sorted(missing))}; {_HELP}")
    return rows


def _row(row: object, where: str) -> tuple[int, int, str, int]:
    if not isinstance(row, dict):
        raise BadInput(f"{where}: not an object with start, end and name; {_HELP}")
    start, end, depth = (_number(row, key, where) for key in ("start", "end", "depth"))
    name = row.get("name")
    if not isinstance(name, str) or not name:
        raise BadInput(f"{where}: no name; write what the range is in `name`")
    if end <= start:
        raise BadInput(f"{where}: [{start}, {end}) holds no byte; `end` is the first byte after the range")
    return start, end, visible(name), depth


def _number(row: dict[str, object], key: str, where: str) -> int:
    value = row.get(key)
    if value is None and key == "depth":
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return value
    try:
        return parse_offset(value if isinstance(value, str) else visible(repr(value))[:40])
    except BadRange as error:
        raise BadInput(f"{where}: {key}: {error}") from None
