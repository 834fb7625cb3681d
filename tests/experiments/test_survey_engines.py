"""The Parquet of a survey opens unchanged in Polars, DuckDB, Dask and Spark, and each gives the same answers to the same three questions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

import fmrw
from fmrw.experiments.survey import compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fmrw.experiments.survey.results import Survey

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

PARSERS = {
    "7z": "sh -c 'exec dd if=\"$0\" bs=10 count=2 status=none' {}",
    "p2.0": "sh -c 'case ${0##*/} in *3*) kill -SEGV $$;; *1*) exit 9;; esac; exec dd if=\"$0\" bs=7 skip=3 status=none' {}",
    "nothing": "sh -c 'exit 1' {}",
}
"""Names that a careless reader takes for numbers, and a parser that reads nothing, so that a file of extents has no rows."""

Answers = tuple[list[tuple[object, ...]], ...]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    folder = tmp_path_factory.mktemp("engines")
    corpus = folder / "corpus"
    corpus.mkdir()
    for number in range(20):
        (corpus / f"{number}.bin").write_bytes(b"x" * (number * 10))
    (corpus / os.fsdecode(b"\xff 2024-01-02")).write_bytes(b"y" * 50)
    with ThreadPoolExecutor(1) as executor:
        return fmrw.survey(corpus, folder / "out", PARSERS, executor=executor)


def polars_answers(out: Path) -> Answers:
    runs, extents = (
        pl.scan_parquet(out / table / "*" / "*.parquet", hive_schema={"parser": pl.String})
        for table in ("runs", "extents")
    )
    verdicts = runs.group_by("parser", "verdict").agg(pl.len()).collect()
    signals = runs.filter(pl.col("status").is_null()).select("parser", "file", "signal").collect()
    length = (pl.col("end") - pl.col("start")).sum()
    read = (
        extents.group_by("parser", "file").agg(length.alias("bytes")).filter(pl.col("bytes") > 30).collect()
    )
    return tuple(sorted(frame.rows()) for frame in (verdicts, signals, read))


QUESTIONS = (
    "select parser, verdict, count(*) from runs group by parser, verdict",
    "select parser, file, signal from runs where status is null",
    'select parser, file, cast(sum("end" - start) as bigint) from extents group by parser, file having sum("end" - start) > 30',
)


def duckdb_answers(out: Path) -> Answers:
    with duckdb.connect() as connection:
        for table in ("runs", "extents"):
            connection.sql(
                f"create view {table} as select * from read_parquet('{out}/{table}/*/*.parquet', hive_partitioning=true)"  # noqa: S608 - our own
            )
        return tuple(sorted(connection.sql(question).fetchall()) for question in QUESTIONS)


def dask_answers(out: Path) -> Answers:
    import dask  # noqa: PLC0415 - as below
    import dask.dataframe as dd  # noqa: PLC0415 - takes its time

    with dask.config.set(scheduler="synchronous"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about Dask
        runs, extents = (dd.read_parquet(out / table) for table in ("runs", "extents"))
        verdicts = runs.groupby(["parser", "verdict"], observed=True).size().compute().reset_index()
        signals = runs[runs["status"].isna()][["parser", "file", "signal"]].compute()
        lengths = extents.assign(bytes=extents["end"] - extents["start"])
        read = lengths.groupby(["parser", "file"], observed=True)["bytes"].sum().compute().reset_index()
        frames = (verdicts, signals.astype({"signal": int}), read[read["bytes"] > 30])
    return tuple(sorted(frame.itertuples(index=False, name=None)) for frame in frames)


SPARK = """
import json, sys
from pyspark.sql import SparkSession

out, warehouse, *questions = sys.argv[1:]
builder = SparkSession.builder.master("local[1]").config("spark.sql.warehouse.dir", warehouse)
for name, value in {"ui.enabled": "false", "driver.host": "127.0.0.1", "driver.bindAddress": "127.0.0.1", "sql.shuffle.partitions": "2"}.items():
    builder = builder.config(f"spark.{name}", value)
session = builder.getOrCreate()
for table in ("runs", "extents"):
    session.read.parquet(f"{out}/{table}").createOrReplaceTempView(table)
found = [[list(row) for row in session.sql(question).collect()] for question in questions]
session.stop()
print("answers", json.dumps(found))
"""


def spark_answers(out: Path) -> Answers:
    """Ask in a process of its own, with which the Java virtual machine ends."""
    questions = [question.replace('"end"', "`end`") for question in QUESTIONS]
    command = [sys.executable, "-c", SPARK, str(out), str(out.parent / "warehouse"), *questions]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.rpartition("answers ")[2])
    return tuple(sorted(tuple(row) for row in rows) for rows in found)


def test_polars_gives_the_answers(done: Survey) -> None:
    verdicts, signals, read = polars_answers(done.folder)
    assert verdicts == [
        ("7z", "accepted", 21), ("nothing", "refused", 21), ("p2.0", "accepted", 8), ("p2.0", "crashed", 2), ("p2.0", "refused", 11),
    ]  # fmt: skip
    assert signals == [("p2.0", "13.bin", 11), ("p2.0", "3.bin", 11)]
    assert read == [("p2.0", f"{number}.bin", number * 10 - 21) for number in range(6, 10)]


@pytest.mark.parametrize("ask", [duckdb_answers, dask_answers])
def test_other_engines_give_the_same(done: Survey, ask: Callable[[Path], Answers]) -> None:
    assert ask(done.folder) == polars_answers(done.folder)


@pytest.mark.soak
def test_spark_gives_the_same(done: Survey) -> None:
    assert spark_answers(done.folder) == polars_answers(done.folder)


@pytest.mark.parametrize("together", [20_000, 1])
def test_verdicts_and_clusters_are_those_of_the_rows(
    done: Survey, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "_FILES", together)
    said: dict[str, dict[str, tuple[str, str]]] = {}
    for row in done.runs.collect().iter_rows(named=True):
        said.setdefault(row["file"], {})[row["parser"]] = (row["verdict"], row["shape"])
    divided = {}
    patterns: dict[str, list[str]] = {}
    for file, by in said.items():
        yes = sorted(parser for parser, (verdict, _) in by.items() if verdict == "accepted")
        no = sorted(parser for parser, (verdict, _) in by.items() if verdict not in ("accepted", "failed"))
        if yes and no:
            divided[file] = (len(yes), len(no), ", ".join(yes), ", ".join(no))
        pattern = "; ".join(f"{parser} {verdict} {shape}" for parser, (verdict, shape) in sorted(by.items()))
        patterns.setdefault(pattern, []).append(file)
    found = done.verdicts().select("file", "accepted", "rejected", "accepted_by", "rejected_by")
    assert {row[0]: row[1:] for row in found.rows()} == divided
    assert len(divided) == 21
    grouped = done.clusters()
    assert {row["pattern"]: (row["files"], row["example"]) for row in grouped.iter_rows(named=True)} == {
        pattern: (len(files), min(files)) for pattern, files in patterns.items()
    }
    assert grouped["files"].is_sorted(descending=True)
