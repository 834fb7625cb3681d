"""Functions in figures: accesses named and coloured by the code that asked, and no longer by the program; as in the explorer.

The functions that moved most bytes have the colours of the palette in their order, the others are grey.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from fmrw.analysis.sites import stacks
from fmrw.text import brief, visible
from fmrw.trace.schema import transfers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmrw.figures.theme import Palette

SEVERAL, OTHERS, UNKNOWN = "several functions", "other functions", "call site not known"
_LONGEST = 400  # characters of a chain


@dataclass(frozen=True)
class Functions:
    """Which function asked for the bytes of one file.

    Parameters
    ----------
    events
        Events of ONE file.
    called
        What each call site is called by: `module!function`.
    chains
        The frames of each site in one line, the innermost first.
    """

    events: pl.DataFrame = field(repr=False)
    called: Mapping[int, str]
    chains: Mapping[int, str]

    def colours(self, palette: Palette) -> dict[str, str]:
        """Give the colour of each kind of access, in the order of a legend."""
        named = list(self._labels(palette).values())
        grey = {OTHERS: palette.faint, UNKNOWN: palette.parts[1], SEVERAL: palette.several}
        return dict(zip(named, palette.programs, strict=False)) | grey

    def _labels(self, palette: Palette) -> dict[str, str]:
        """Name the functions that have a colour: names that are cut to the same text are numbered."""
        found: dict[str, str] = {}
        for name in stacks.ranked(transfers(self.events), self.called)[: len(palette.programs)]:
            label, taken = brief(name), set(found.values())
            found[name] = next(each for each in (label, *(f"{label} ({n})" for n in range(2, 99))) if each not in taken)  # fmt: skip
        return found

    def kind(self, palette: Palette) -> pl.Expr:
        """Name each access by its function, as an Enum of the kinds of `colours`."""
        labels = self._labels(palette)
        kinds = {site: labels.get(name, OTHERS) for site, name in self.called.items()}
        kind = pl.col("site").replace_strict(kinds, default=UNKNOWN, return_dtype=pl.String)
        return kind.cast(pl.Enum([*self.colours(palette)]))

    def chain(self, site: int | None) -> str:
        """Say the chain of a site; "" where nobody knows it."""
        return visible(self.chains.get(site, "") if site is not None else "")[:_LONGEST]

    def parted(self, rows: pl.DataFrame, palette: Palette) -> dict[str, pl.DataFrame]:
        """Give the reads and writes among some rows that each kind made, where it made some, in the order of `colours`."""
        found = transfers(rows).with_columns(kind=self.kind(palette)).partition_by("kind", as_dict=True)
        return {kind: found[kind,] for kind in self.colours(palette) if (kind,) in found}

    def told(self, palette: Palette) -> dict[str, str]:
        """Say the chain of each kind: that of its site with the most bytes, and how many others it has."""
        size = (pl.col("end") - pl.col("start")).sum()
        known = pl.DataFrame({"site": list(self.called)}, schema={"site": pl.Int32()}).with_columns(
            kind=self.kind(palette)
        )
        sites = transfers(self.events).group_by("site").agg(size.alias("bytes")).join(known, on="site")
        found: dict[str, list[int]] = {}
        for site, kind in (
            sites.sort("bytes", "site", descending=[True, False]).select("site", "kind").iter_rows()
        ):
            found.setdefault(kind, []).append(site)
        return {
            kind: self.chain(of[0]) + (f"; and {len(of) - 1} more" if len(of) > 1 else "")
            for kind, of in found.items()
        }
