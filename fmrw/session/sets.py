"""Sets: several sessions as one source.

Every session counts its calls, handles and call sites from the beginning. In a set they have numbers of their own, so that what is told apart, or put
together, by these is not mixed up: those of the first session stay, those of each other are moved by its place in the set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from fmrw.capture.recorder.journal import MOST_SITES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmrw.session.sources import FolderSource

AnyFrame = TypeVar("AnyFrame", pl.DataFrame, pl.LazyFrame)
_NUMBER_BITS = 40  # of the calls and handles of a session


class SetSource:
    """Several sessions as one, each row with the session's folder and host."""

    session = None
    sealed = None

    def __init__(self, sources: Mapping[str, FolderSource]) -> None:
        self._sources = sources

    @property
    def active(self) -> bool:
        """Whether somebody records into one of them."""
        return any(source.active for source in self._sources.values())

    def lazy(self) -> pl.LazyFrame:
        """Scan all of them."""
        return pl.concat(
            self._marked(source.lazy().with_columns(_call(place), _handle(place), _site(place)), name)
            for place, (name, source) in enumerate(self._sources.items())
        )

    def processes(self) -> pl.DataFrame:
        """Give the processes of all of them."""
        return pl.concat([self._marked(source.processes(), name) for name, source in self._sources.items()])

    def sites(self) -> pl.DataFrame:
        """Give the call sites of all of them."""
        return pl.concat(
            self._marked(source.sites().with_columns(_site(place)), name)
            for place, (name, source) in enumerate(self._sources.items())
        ).drop_nulls("site")

    def _marked(self, frame: AnyFrame, name: str) -> AnyFrame:
        host = str(self._sources[name].facts().get("host", ""))
        return frame.with_columns(session=pl.lit(name), host=pl.lit(host))

    def facts(self) -> Mapping[str, Any]:
        """Give the facts of each, by name."""
        each = {name: dict(source.facts()) for name, source in self._sources.items()}
        maps = sorted({path for facts in each.values() for path in facts.get("mapped") or ()})
        return {"sessions": each, **({"mapped": maps} if maps else {})}

    def open(self, path: bytes) -> int | None:
        """Give nothing: a path may be another file in each session."""
        del path
        return None


def _call(place: int) -> pl.Expr:
    return pl.col("call") + (place << _NUMBER_BITS)


def _handle(place: int) -> pl.Expr:
    """Move the handles of a session; 0 stands for none."""
    return pl.when(pl.col("handle") > 0).then(pl.col("handle") + (place << _NUMBER_BITS)).otherwise(0)


def _site(place: int) -> pl.Expr:
    """Move the call sites of a session; null where there are too many for 32 bits, behind 32,767 sessions."""
    moved = pl.col("site").cast(pl.Int64) + place * (MOST_SITES + 1)
    return pl.when(pl.col("site") <= MOST_SITES).then(moved).cast(pl.Int32, strict=False).alias("site")
