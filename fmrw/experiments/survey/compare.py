"""Compare: every pair of parsers over a whole survey, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from fmrw.experiments.survey.agreement import FILES, counts
from fmrw.experiments.survey.rows import FAILED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fmrw.experiments.survey.plan import Folder, Plan


def compared(folder: Folder, plan: Plan) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the pairs of parsers and the files whose bytes they read differently; see `Survey.matrix` and `Survey.bytes`."""
    parsers = list(plan.parsers)
    size = len(parsers)
    both, files, same = (np.zeros((size, size), np.int64) for _ in range(3))
    differing = [pl.DataFrame(schema={"file": pl.String(), "size": pl.Int64(), **FILES}).drop("number")]
    for number in sorted(folder.finished(plan)):
        names = pl.read_parquet(
            folder.part("runs", number, parsers[0]), columns=["file", "size"], hive_partitioning=False
        )
        verdicts = [_read(folder, "runs", number, parser, ["verdict"])["verdict"] for parser in parsers]
        ran = np.stack([(each != FAILED).to_numpy() for each in verdicts], axis=1)
        found = counts(_extents(folder, number, parsers, names["file"]), size, ran)
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


def _read(folder: Folder, table: str, number: int, parser: str, columns: list[str]) -> pl.DataFrame:
    return pl.read_parquet(folder.part(table, number, parser), columns=columns, hive_partitioning=False)


def _extents(folder: Folder, number: int, parsers: list[str], names: pl.Series) -> pl.DataFrame:
    """Give the extents of a part, with files and parsers as numbers."""
    found = [
        _read(folder, "extents", number, parser, ["file", "start", "end"]).with_columns(
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
