"""Stacks for other tools: folded lines for flame graphs, JSON for speedscope.

Sources: FlameGraph's README, "Fold stacks"; https://www.speedscope.app/file-format-schema.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from fmrw.analysis.sites.stacks import Chain


def folded(found: pl.DataFrame, known: Mapping[int, Chain], weight: str = "bytes") -> list[str]:
    """Give a line for each stack: its frames, the outermost first, separated by semicolons, and how much it weighs.

    Parameters
    ----------
    found : frame of `fmrw.analysis.sites.stacks.REPORT`
    known : mapping
        The frames of each site.
    weight : {"bytes", "calls"}
    """
    return [
        ";".join(_foldable(frame.label) for frame in reversed(known.get(row["site"], ()))) + f" {row[weight]}"
        for row in found.iter_rows(named=True)
    ]


def _foldable(label: str) -> str:
    return visible(label).replace(";", ":")


def speedscope(
    found: pl.DataFrame, known: Mapping[int, Chain], name: str, weight: str = "bytes"
) -> dict[str, Any]:
    """Give a profile in which a sample is a site, and its weight the bytes, or calls, that it asked for."""
    numbers: dict[tuple[str, str], int] = {}
    samples = [
        [
            numbers.setdefault((frame.label, frame.line), len(numbers))
            for frame in reversed(known.get(site, ()))
        ]
        for site in found["site"]
    ]
    weights = found[weight].to_list()
    profile = {
        "type": "sampled", "name": name, "unit": "bytes" if weight == "bytes" else "none", "startValue": 0, "endValue": sum(weights),
        "samples": samples, "weights": weights,
    }  # fmt: skip
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": [_frame(label, line) for label, line in numbers]},
        "profiles": [profile],
        "name": name,
        "exporter": "fmrw",
    }


def _frame(label: str, line: str) -> dict[str, Any]:
    file, _colon, number = line.rpartition(":")
    return {
        "name": visible(label),
        **({"file": file, "line": int(number)} if number.isdecimal() and file else {}),
    }
