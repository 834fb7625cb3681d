"""Spool: what is done of a part that is not finished, a line each, in a file of every process that has tried."""

from __future__ import annotations

import contextlib
import json
import platform
import uuid
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

    from fmrw.experiments.survey.plan import Folder
    from fmrw.experiments.survey.rows import Ranges

Key = tuple[str, str]  # file, parser
_encoded = json.JSONEncoder(separators=(",", ":")).encode


class Spool:
    """The runs and maps of a part that are there: those of former attempts, and those that are added.

    Attributes
    ----------
    rows, maps : dict
        (file, parser) → the run's row with its extents; the map, as `fmrw.experiments.survey.mapping.Map.json` gives it.
    """

    def __init__(self, folder: Folder, number: int) -> None:
        self._folder = folder
        self._stem = f"part-{number:06d}"
        self.rows: dict[Key, dict[str, Any]] = {}
        self.maps: dict[Key, dict[str, Any]] = {}
        self._host = platform.node()
        for path in self._there():
            for line in path.read_bytes().split(b"\n")[:-1]:  # a torn line has no end
                self._take(line)
        self._file: IO[bytes] | None = None

    def _there(self) -> list[Path]:
        return sorted(self._folder.spool.glob(f"{self._stem}-*.jsonl"))

    def _take(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError):  # written by a machine that crashed
            row = json.loads(line)
            known = self.maps if "ranges" in row else self.rows
            known[row["file"], row["parser"]] = row

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file of this process."""
        if self._file is not None:
            self._file.close()

    def add(self, file: str, parser: str, row: dict[str, Any], ranges: Ranges) -> None:
        """Keep a run; it is there when this returns, whatever happens to this process then."""
        row |= {"file": file, "parser": parser, "host": self._host, "extents": ranges}
        self._append(row)
        self.rows[file, parser] = row

    def add_map(self, file: str, parser: str, found: dict[str, Any]) -> None:
        """Keep a map, in the same way."""
        self._append(found | {"file": file, "parser": parser})
        self.maps[file, parser] = found

    @property
    def steps(self) -> int:
        """How many runs and maps there are."""
        return len(self.rows) + len(self.maps)

    def _append(self, row: dict[str, Any]) -> None:
        if self._file is None:
            name = self._folder.spool / f"{self._stem}-{uuid.uuid4().hex}.jsonl"
            self._file = name.open("ab", buffering=0)
        self._file.write(_encoded(row).encode() + b"\n")

    def remove(self) -> None:
        """Remove what the part's Parquet files hold now."""
        for path in self._there():
            path.unlink(missing_ok=True)
