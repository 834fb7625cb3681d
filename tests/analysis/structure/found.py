"""The structure that was found in some bytes: to look a range up by its name."""

from __future__ import annotations

import polars as pl


class Found:
    """The structure of some bytes."""

    def __init__(self, content: bytes, frame: pl.DataFrame) -> None:
        self.content, self.frame = content, frame

    @property
    def formats(self) -> list[str]:
        return self.frame.filter(pl.col("depth") == 0)["name"].to_list()

    def named(self, beginning: str, depth: int | None = None) -> dict[str, list[tuple[int, int]]]:
        """Ranges whose name begins so: name → where, in the order of the file."""
        found: dict[str, list[tuple[int, int]]] = {}
        for start, end, name, level in self.frame.rows():
            if name.startswith(beginning) and level and depth in (None, level):
                found.setdefault(name, []).append((start, end))
        return found

    def span(self, name: str, depth: int | None = None) -> tuple[int, int]:
        (places,) = [where for which, where in self.named(name, depth).items() if which == name]
        (place,) = places
        return place

    def bytes_of(self, name: str) -> bytes:
        start, end = self.span(name)
        return self.content[start:end]
