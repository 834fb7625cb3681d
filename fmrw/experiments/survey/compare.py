"""Compare: every pair of parsers over a whole survey, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.experiments.survey.agreement import FILES, counts
from fmrw.experiments.survey.rows import ACCEPTED, FAILED

_FILES = 20_000

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fmrw.experiments.survey.plan import Folder, Plan


def compared(folder: Folder, plan: Plan) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the pairs of parsers and the files whose bytes they read differently; see `Survey.matrix` and `Survey.bytes`."""
    parsers = list(plan.parsers)
    size = len(parsers)
    both, files, same = (np.zeros((size, size), np.int64) for _ in range(3))
    differing = [pl.DataFrame(schema={"file": pl.String(), "size": pl.Int64(), **FILES}).drop("number")]
    for numbers in _batches(folder, plan):
        names = _read(folder, "runs", numbers, parsers[0], ["file", "size"])
        verdicts = [_read(folder, "runs", numbers, parser, ["verdict"])["verdict"] for parser in parsers]
        ran = np.stack([(each != FAILED).to_numpy() for each in verdicts], axis=1)
        found = counts(_extents(folder, numbers, parsers, names["file"]), size, ran)
        both += found.both
        files += ran.T.astype(np.int64) @ ran
        same += _alike(verdicts, ran)
        differing.append(
            names.with_row_index("number")
            .cast({"number": pl.Int64})
            .join(found.files, on="number")
            .drop("number")
        )
    words = pl.Series(parsers, dtype=pl.String)
    named = pl.concat(differing).with_columns(
        pl.col(column).replace_strict(range(size), words, return_dtype=pl.String)
        for column in ("reader", "other")
    )
    ranked = named.sort(pl.col("only") / pl.col("size"), "file", descending=[True, False])
    return _pairs(parsers, both, files, same), ranked


def divided(folder: Folder, plan: Plan) -> pl.DataFrame:
    """Give the names of the files that some parsers accept and others do not: `file`."""
    found = [pl.DataFrame(schema={"file": pl.String})]
    for part in _by_file(folder, plan, ["verdict"]):
        verdicts = [pl.col(_column("verdict", parser)) for parser in plan.parsers]
        yes = pl.any_horizontal(each == ACCEPTED for each in verdicts)
        no = pl.any_horizontal(~each.is_in([ACCEPTED, FAILED]) for each in verdicts)
        found.append(part.filter(yes & no).select("file"))
    return pl.concat(found)


def patterns(folder: Folder, plan: Plan) -> pl.DataFrame:
    """Count the files that were met with one pattern of verdicts and shapes: `files`, `pattern`, `example` (the first of them)."""
    counted = [pl.DataFrame(schema={"files": pl.Int64, "pattern": pl.String, "example": pl.String})]
    for part in _by_file(folder, plan, ["verdict", "shape"]):
        words = [
            pl.concat_str(
                [pl.lit(parser), _column("verdict", parser), _column("shape", parser)],
                separator=" ",
                ignore_nulls=False,
            )
            for parser in sorted(plan.parsers)
        ]
        pattern = pl.concat_str(words, separator="; ", ignore_nulls=True)
        counted.append(
            part.group_by(pattern=pattern)
            .agg(pl.len().cast(pl.Int64).alias("files"), pl.col("file").min().alias("example"))
            .select("files", "pattern", "example")
        )
    return pl.concat(counted).group_by("pattern").agg(pl.col("files").sum(), pl.col("example").min())


def _by_file(folder: Folder, plan: Plan, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Give the parts, some at a time, with a row for each file, and columns for each parser: all parsers' runs of a part are about the same files."""
    for numbers in _batches(folder, plan):
        names = _read(folder, "runs", numbers, next(iter(plan.parsers)), ["file"])
        yield names.hstack([
            series.alias(_column(series.name, parser))
            for parser in plan.parsers
            for series in _read(folder, "runs", numbers, parser, columns)
        ])  # fmt: skip


def _column(name: str, parser: str) -> str:
    return f"{name} {parser}"


def _batches(folder: Folder, plan: Plan) -> list[list[int]]:
    """Give the parts that are done, as many together as have about `_FILES` files: opening many small files takes longer than reading them."""
    done = sorted(folder.finished(plan))
    together = max(1, _FILES * plan.parts // max(1, plan.count))
    return [done[begin : begin + together] for begin in range(0, len(done), together)]


def _read(folder: Folder, table: str, numbers: list[int], parser: str, columns: list[str]) -> pl.DataFrame:
    paths = [folder.part(table, number, parser) for number in numbers]
    return pl.read_parquet(paths, columns=columns, hive_partitioning=False)


def _extents(folder: Folder, numbers: list[int], parsers: list[str], names: pl.Series) -> pl.DataFrame:
    """Give the extents of some parts, with files and parsers as numbers."""
    found = [
        _read(folder, "extents", numbers, parser, ["file", "start", "end"]).with_columns(
            parser=pl.lit(place, pl.Int64)
        )
        for place, parser in enumerate(parsers)
    ]
    numbered = pl.DataFrame({"file": names, "number": np.arange(len(names))})
    return pl.concat(found).join(numbered, on="file").select("number", "parser", "start", "end")


def _alike(verdicts: list[pl.Series], ran: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count for each pair the files about which both say the same."""
    found = np.zeros((len(verdicts), len(verdicts)), np.int64)
    for a, one in enumerate(verdicts):
        for b, other in enumerate(verdicts):
            found[a, b] = int(((one == other).to_numpy() & ran[:, a] & ran[:, b]).sum())
    return found


def _pairs(
    parsers: list[str], both: NDArray[np.int64], files: NDArray[np.int64], same: NDArray[np.int64]
) -> pl.DataFrame:
    rows = []
    for a, one in enumerate(parsers):
        for b, other in enumerate(parsers):
            shared, only_a, only_b = both[a, b], both[a, a] - both[a, b], both[b, b] - both[a, b]
            either = shared + only_a + only_b
            rows.append(
                {
                    "a": one, "b": other, "files": files[a, b], "same": same[a, b] / files[a, b] if files[a, b] else None,
                    "both": shared, "only_a": only_a, "only_b": only_b, "jaccard": shared / either if either else None,
                }
            )  # fmt: skip
    schema = {
        "a": pl.String, "b": pl.String, "files": pl.Int64, "same": pl.Float64, "both": pl.Int64, "only_a": pl.Int64, "only_b": pl.Int64,
        "jaccard": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema)
