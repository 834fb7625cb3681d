"""Surveys on this machine: what is kept of each run, going on after a kill, and everything odd a corpus may hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import psutil
import pytest

import fmrw
from fmrw.errors import BadCommand, BadInput, SessionError, SessionExists
from fmrw.experiments.survey import rows
from fmrw.experiments.survey.plan import Folder
from fmrw.experiments.survey.pool import LocalPool, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmrw.experiments.survey.results import Survey

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

DD = "dd if={} bs=1 skip=3 count=4 status=none"
TAIL = "sh -c 'dd if=\"$0\" bs=10 skip=2 status=none; exit 3' {}"
TWO = {"dd": DD, "tail": TAIL}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "deep" / "er").mkdir(parents=True)
    for name in ("a", "b", "deep-before", "deep/c", "deep/er/d"):
        (folder / name).write_bytes(name.encode().ljust(40, b"."))
    return folder


def survey(corpus: Path, parsers: dict[str, str] = TWO, out: str = "out", **options: object) -> Survey:
    """Survey in this process, which is much cheaper than in another, unless a test wants something else."""
    with ThreadPoolExecutor(1) as own:
        chosen = {} if {"jobs", "executor"} & {*options} else {"executor": own}
        return fmrw.survey(corpus, corpus.parent / out, parsers, **chosen, **options)  # type: ignore[arg-type]


def one(found: Survey, parser: str, file: str) -> dict[str, object]:
    return found.runs.filter(pl.col("parser") == parser, pl.col("file") == file).collect().row(0, named=True)


def strip(size: int, start: int, end: int) -> str:
    edges = [size * number // 32 for number in range(33)]
    parts = [range(left, right) for left, right in pairwise(edges)]
    return "".join("9" if all(start <= byte < end for byte in part) else "0" for part in parts)


def extents(found: Survey, parser: str) -> list[tuple[str, int, int]]:
    own = found.extents.filter(pl.col("parser") == parser).collect()
    return sorted(own.select("file", "start", "end").iter_rows())


# What is kept


def test_each_run_is_kept_with_what_it_read(corpus: Path) -> None:
    found = survey(corpus)
    names = ["a", "b", "deep-before", "deep/c", "deep/er/d"]
    assert extents(found, "dd") == [(name, 3, 7) for name in names]
    assert extents(found, "tail") == [(name, 20, 40) for name in names]
    assert found.runs.collect().height == 10
    row = one(found, "dd", "deep/c")
    plain = subprocess.run(
        DD.replace("{}", str(corpus / "deep/c")).split(), capture_output=True, check=True
    ).stdout
    assert row["stdout_hash"] == hashlib.blake2b(plain, digest_size=16).hexdigest()
    assert (row["status"], row["verdict"], row["size"], row["read"], row["share"]) == (
        0,
        "accepted",
        40,
        4,
        0.1,
    )
    assert (row["reads"], row["smallest_request"], row["first_start"], row["last_end"]) == (4, 1, 3, 7)
    assert row["stdout_head"] == plain.decode()
    assert (row["fidelity"], row["changed"], row["error"], row["left"]) == ("byte", False, "", 0)
    assert row["strip"] == strip(40, 3, 7)
    refused = one(found, "tail", "a")
    assert (refused["status"], refused["verdict"], refused["signal"]) == (3, "refused", None)
    assert sorted(each.name for each in corpus.iterdir()) == ["a", "b", "deep", "deep-before"]


def test_how_runs_end(corpus: Path) -> None:
    parsers = {
        "crash": "sh -c 'kill -SEGV $$' {}",
        "fork": "sh -c 'sleep 1000 & setsid sleep 1000 & exit 0' {}",
        "disk": "sh -c 'cat /dev/zero > /tmp/fmrw-full; exit 4' {}",
        "writer": "sh -c 'echo > {}'",
    }
    found = survey(corpus, parsers, files="a")
    endings = {row["parser"]: row for row in found.of("a").iter_rows(named=True)}
    assert [(row["verdict"], row["status"], row["signal"]) for row in endings.values()] == [
        ("crashed", None, signal.SIGSEGV), ("accepted", 0, None), ("refused", 4, None), ("refused", 2, None),
    ]  # fmt: skip
    assert endings["fork"]["left"] >= 2
    assert endings["disk"]["written"] == 1
    assert endings["writer"]["denied"] >= 1
    assert not Path("/tmp/fmrw-full").exists()  # noqa: S108 - the run's own


def test_who_hangs_is_killed(corpus: Path) -> None:
    found = survey(corpus, {"hang": "sh -c 'sleep 1000' {}"}, files="a", timeout=0.3)
    row = one(found, "hang", "a")
    assert (row["verdict"], row["status"], row["limit"]) == ("hung", None, "time")


def test_the_summary_counts_verdicts(corpus: Path) -> None:
    found = survey(corpus).summary
    assert found.select("parser", "runs", "accepted", "refused", "failed").rows() == [
        ("dd", 5, 5, 0, 0),
        ("tail", 5, 0, 5, 0),
    ]
    assert found["median_share"].to_list() == [0.1, 0.5]


def test_the_files_are_sorted_hive_style_parquet_with_statistics(corpus: Path) -> None:
    import pyarrow.parquet as pq  # noqa: PLC0415 - the tests' own

    for number in range(60):
        (corpus / f"x{number:02}").write_bytes(b"x" * 40)
    found = survey(corpus, {"dd": DD})
    parts = sorted((found.folder / "runs" / "parser=dd").iterdir())
    assert [part.name for part in parts] == [f"part-{number:06}.parquet" for number in range(3)]
    before = ""
    for part in parts:
        table = pq.ParquetFile(part)
        column = table.schema_arrow.get_field_index("file")
        group = table.metadata.row_group(0).column(column).statistics
        names = pq.read_table(part, partitioning=None)["file"].to_pylist()
        assert names == sorted(names)
        assert before < group.min == names[0] <= group.max == names[-1]
        before = group.max
        assert "parser" not in table.schema_arrow.names


# Going on


def test_the_same_again_runs_nothing(corpus: Path) -> None:
    first = survey(corpus)
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.parquet")}
    (corpus / "later").write_bytes(b"x")
    again = survey(corpus)
    assert {path: path.stat().st_mtime_ns for path in again.folder.rglob("*.parquet")} == before
    assert again.runs.collect().equals(first.runs.collect())
    assert list((again.folder / "spool").iterdir()) == []


SLOW = {"slow": "sh -c 'sleep 0.05; head -c 3 \"$0\"' {}"}


def _spooled(out: Path, least: int) -> dict[str, float]:
    """Wait until so many runs of unfinished parts are kept; give their times by file."""
    while True:
        lines = [line for path in out.glob("spool/*.jsonl") for line in _whole_lines(path)]
        if len(lines) >= least or list(out.glob("runs/*/*.parquet")):
            return {row["file"]: row["seconds"] for row in map(json.loads, lines)}


def _whole_lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:  # its part is done
        return []


def test_after_a_kill_what_is_done_is_not_done_again(corpus: Path) -> None:
    for number in range(40):
        (corpus / f"x{number:02}").write_bytes(b"x" * 40)
    out = corpus.parent / "out"
    code = f"import fmrw; fmrw.survey({str(corpus)!r}, {str(out)!r}, {SLOW!r}, jobs=2)"
    driver = subprocess.Popen([sys.executable, "-c", code])
    done = _spooled(out, 6)
    family = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    psutil.wait_procs(family, timeout=600)
    done |= _spooled(out, 1)
    torn = next(iter(out.glob("spool/*.jsonl")), None)
    if torn is not None:
        with torn.open("ab") as file:
            file.write(b'{"file": "torn", "par')
    found = survey(corpus, SLOW)
    rows_ = found.runs.select("file", "seconds").collect()
    kept = dict(rows_.iter_rows())
    assert len(kept) == rows_.height == 45
    assert {name: kept[name] for name in done} == done
    assert extents(found, "slow") == sorted((name, 0, 3) for name in kept)
    assert list((out / "spool").iterdir()) == []


def _works_for_a_pool(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):  # it has ended meanwhile
        return "fmrw.experiments.survey.pool" in process.cmdline()
    return False


def test_a_process_that_is_killed_costs_nothing(corpus: Path) -> None:
    for number in range(40):
        (corpus / f"x{number:02}").write_bytes(b"x" * 40)
    killed: list[int] = []

    def watch(_progress: object) -> None:
        if not killed and _spooled(corpus.parent / "out", 3):
            own = [each for each in psutil.Process().children() if _works_for_a_pool(each)]
            killed.extend(each.pid for each in own[:1])
            own[0].kill()

    found = survey(corpus, SLOW, jobs=2, watch=watch)
    assert len(killed) == 1
    assert found.runs.collect()["file"].n_unique() == found.runs.collect().height == 45
    assert set(found.runs.collect()["verdict"]) == {"accepted"}


def test_an_executor_of_threads_does(corpus: Path) -> None:
    with ThreadPoolExecutor(2) as executor:
        found = survey(corpus, executor=executor)
    assert found.runs.collect().height == 10
    assert extents(found, "dd")[0] == ("a", 3, 7)


def test_an_executor_of_processes_does(corpus: Path) -> None:
    script = corpus.parent / "script.py"
    script.write_text(
        textwrap.dedent(f"""
            import multiprocessing
            from concurrent.futures import ProcessPoolExecutor
            import fmrw

            if __name__ == "__main__":
                with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
                    fmrw.survey({str(corpus)!r}, {str(corpus.parent / "out")!r}, {TWO!r}, executor=executor)
        """)
    )
    subprocess.run([sys.executable, script], check=True)
    found = fmrw.Survey(corpus.parent / "out")
    assert found.runs.collect().height == 10
    assert extents(found, "dd")[0] == ("a", 3, 7)


def test_a_pool_gives_results_errors_and_tells_of_a_kill() -> None:
    with LocalPool(1) as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 7, 0).result()
        with pytest.raises(WorkerLost, match="killed"):
            pool.submit(os._exit, 9).result()
        assert pool.submit(len, "abc").result() == 3


# Odd corpora


ODD = [
    b"new\nline",
    b"\xff\xfe",
    b"e\x1bscape",
    b"sp ace 'quote\" $x",
    b"-dash",
    "\N{GREEK SMALL LETTER ALPHA}".encode(),
]


def test_names_are_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ODD:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(name + b"!")
    found = survey(folder, {"cat": "cat {}", "size": "sh -c 'wc -c < \"$0\"' {}"})
    table = found.runs.collect()
    assert table.height == 2 * len(ODD)
    assert set(table["verdict"]) == {"accepted"}
    hashes = set(table.filter(pl.col("parser") == "cat")["stdout_hash"])
    assert hashes == {hashlib.blake2b(name + b"!", digest_size=16).hexdigest() for name in ODD}
    assert all(name.isprintable() for name in table["file"])
    assert found.of(os.fsdecode(b"\xff\xfe")).height == 2
    page = found.report().read_text()
    assert "\x1b" not in page


def test_links_pipes_and_what_cannot_be_read_are_left_out_and_counted(corpus: Path) -> None:
    (corpus / "out-link").symlink_to("/etc/passwd")
    (corpus / "folder-link").symlink_to(corpus / "deep")
    os.mkfifo(corpus / "pipe")
    (corpus / "empty").touch()
    found = survey(corpus, {"cat": "cat {}"})
    assert sorted(found.files.collect()["file"]) == ["a", "b", "deep-before", "deep/c", "deep/er/d", "empty"]
    assert found.plan.skipped == {"link": 2, "not a regular file": 1}
    row = one(found, "cat", "empty")
    assert (row["share"], row["strip"], row["reads"], row["fidelity"]) == (None, "", 0, None)
    again = survey(corpus, {"cat": "cat {}"})
    assert again.runs.collect().height == 6


def test_files_that_vanish_or_change_are_named(corpus: Path) -> None:
    out = corpus.parent / "out"
    with pytest.raises(KeyboardInterrupt):
        survey(corpus, {"dd": DD}, executor=_Interrupted())
    assert Folder(out).plan().count == 5
    (corpus / "a").unlink()
    (corpus / "b").write_bytes(b"changed " * 10)
    (corpus / "deep" / "c").unlink()
    (corpus / "deep" / "c").mkdir()
    found = survey(corpus, {"dd": DD})
    told = {
        row["file"]: (row["verdict"], row["changed"], row["error"])
        for row in found.runs.collect().iter_rows(named=True)
    }
    assert told["a"] == ("failed", True, "the file is gone")
    assert told["b"] == ("accepted", True, "")
    assert told["deep/c"] == ("failed", True, "it is no file any more")
    assert told["deep/er/d"] == ("accepted", False, "")


class _Interrupted(ThreadPoolExecutor):
    def submit(self, *_args: object, **_options: object) -> None:  # type: ignore[override]
        raise KeyboardInterrupt


def test_only_some_files(corpus: Path) -> None:
    first = survey(corpus, {"dd": DD}, "1", files="[ab]")
    assert sorted(first.files.collect()["file"]) == ["a", "b"]
    second = survey(corpus, {"dd": DD}, "2", files="deep/*")
    assert sorted(second.files.collect()["file"]) == ["deep/c", "deep/er/d"]
    chosen = [
        sorted(survey(corpus, {"dd": DD}, name, sample=2).files.collect()["file"]) for name in ("3", "4")
    ]
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) == 2


# What is refused, before anything is run


@pytest.mark.parametrize(
    ("parsers", "said"),
    [
        ({}, "-p NAME="),
        ({"x": "cat"}, "put {} there"),
        ({"x": "there-is-no-such-program {}"}, "not installed"),
        ({"7": "cat {}"}, "take 7 for a number"),
        ({"1e5": "cat {}"}, "number"),
        ({"2d": "cat {}"}, "number"),
        ({"2024-01-02": "cat {}"}, "number, a date"),
        ({"NaN": "cat {}"}, "nothing"),
        ({"a/b": "cat {}"}, "cannot name"),
        ({".": "cat {}"}, "cannot name"),
        ({"a": "cat {}", "A": "cat {}"}, "case only"),
    ],
)
def test_parsers_that_cannot_be(corpus: Path, parsers: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said.replace("{", r"\{")):
        survey(corpus, parsers)
    assert not (corpus.parent / "out").exists()


def test_a_corpus_without_files_is_refused(corpus: Path) -> None:
    with pytest.raises(BadInput, match="no files"):
        survey(corpus, files="*.zip")
    with pytest.raises(BadInput, match="no directory"):
        survey(corpus / "a")
    assert survey(corpus).runs.collect().height == 10, "what was begun is gone on with"


def test_a_folder_of_something_else_is_refused(corpus: Path) -> None:
    survey(corpus)
    with pytest.raises(SessionExists, match="parsers differ"):
        survey(corpus, {"dd": DD})
    with pytest.raises(SessionExists, match="corpus differ"):
        survey(corpus / "deep", TWO, "../out")
    other = corpus.parent / "other"
    other.mkdir()
    (other / "file").touch()
    with pytest.raises(SessionExists, match="no survey"):
        survey(corpus, TWO, "other")
    with pytest.raises(SessionError, match="is no survey"):
        fmrw.Survey(other)
    (corpus.parent / "out" / "survey.json").write_text("{}")
    with pytest.raises(SessionError, match="cannot be read"):
        fmrw.Survey(corpus.parent / "out")


def test_a_folder_in_the_corpus_is_refused(corpus: Path) -> None:
    (corpus.parent / "link").symlink_to(corpus / "deep")
    for out in ("corpus", "corpus/sub", "link/sub"):
        with pytest.raises(BadCommand, match=r"lies in the corpus.*; choose a folder outside"):
            survey(corpus, TWO, out)
    assert len([*corpus.rglob("*")]) == 7, "nothing is written"
    found = survey(corpus)
    found.folder.rename(corpus / "earlier")
    assert survey(corpus, TWO, "corpus/earlier").runs.collect().height == 10, "what an earlier fmrw has begun"


# The command


def fmrw_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fmrw", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_command_and_its_report(corpus: Path) -> None:
    out = corpus.parent / "out"
    done = fmrw_command("survey", corpus, "-o", out, "-p", f"dd={DD}", "-p", f"tail={TAIL}", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:4] for line in done.stdout.splitlines()[1:]] == [
        ["dd", "5", "5", "0"],
        ["tail", "5", "0", "5"],
    ]
    told = fmrw_command("survey", "report", out, "--json")
    found = json.loads(told.stdout)
    assert [row["accepted"] for row in found["parsers"]] == [5, 0]
    first = found["disagreements"][0]
    assert (first["accepted_by"], first["rejected_by"]) == ("dd", "tail")
    assert (first["reader"], first["other"], first["only"]) == ("tail", "dd", 20)
    assert found["clusters"][0]["files"] == 5
    assert Path(found["page"]) == out / "report.html"


def test_the_report_shows_as_many_rows_as_wanted(corpus: Path) -> None:
    for number in range(25):
        (corpus / f"x{number:02}").write_bytes(b"x" * 40)
    out = survey(corpus).folder
    lines = fmrw_command("survey", "report", out).stdout.splitlines()
    assert sum(" tail reads " in line for line in lines) == 30
    cut = fmrw_command("survey", "report", out, "--most", 23).stdout.splitlines()
    assert sum(" tail reads " in line for line in cut) == 23
    assert [line for line in cut if "more" in line] == ["… and 7 more; --most shows them"]
    assert not [line for line in lines if "… and" in line]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["survey", "CORPUS"], 2, "'-o'"),
        (["survey", "CORPUS", "-o", "OUT", "-p", "cat"], 2, "NAME='COMMAND {}'"),
        (["survey", "CORPUS", "-o", "OUT", "-p", "x=cat {}", "-p", "x=od {}"], 2, "two parsers are called x"),
        (["survey", "CORPUS", "-o", "OUT", "-p", "x=cat '{}"], 2, "close the quotation"),
        (["survey", "CORPUS", "OTHER", "-o", "OUT"], 2, "one CORPUS"),
        (["survey", "report", "CORPUS"], 1, "is no survey"),
    ],
)
def test_the_command_says_what_is_wrong(corpus: Path, arguments: list[str], status: int, said: str) -> None:
    named = {"CORPUS": str(corpus), "OUT": str(corpus.parent / "out")}
    done = fmrw_command(*(named.get(each, each) for each in arguments))
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


# Arithmetic


def test_shares_are_as_counted_byte_by_byte() -> None:
    chance = random.Random(5)  # noqa: S311 - the same each time
    for _ in range(200):
        size, parts = chance.randrange(1, 200), chance.choice([8, 32])
        marks = [chance.random() < 0.4 for _ in range(size)]
        ranges = list(_runs_of(marks))
        count = min(parts, size)
        edges = [size * number // count for number in range(count + 1)]
        expected = [sum(marks[left:right]) / (right - left) for left, right in pairwise(edges)]
        assert rows.shares(ranges, size, parts) == expected
    assert rows.shares([], 0, 8) == []


def _runs_of(marks: list[bool]) -> Iterator[tuple[int, int, int]]:
    start = None
    for place, mark in enumerate([*marks, False]):
        if mark and start is None:
            start = place
        elif not mark and start is not None:
            yield start, place, 1
            start = None


def test_a_trace_shows_each_parser_as_a_program(corpus: Path) -> None:
    trace = survey(corpus).trace("a")
    assert trace.programs == ("dd", "tail")
    assert trace.only("dd").coverage("a").rows() == [(3, 7)]
    assert trace.gaps("a").rows() == [(0, 3), (7, 20)]


def test_a_script_without_a_guard_works(corpus: Path) -> None:
    script = corpus.parent / "script.py"
    script.write_text(
        textwrap.dedent(f"""
            import fmrw
            found = fmrw.survey({str(corpus)!r}, {str(corpus.parent / "out")!r}, {{"dd": {DD!r}}}, jobs=2)
            print(found.runs.collect().height)
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stdout == "5\n", done.stderr


def test_a_command_without_its_file_is_shown_with_it(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a").write_bytes(b"a")
    with pytest.raises(BadCommand, match=r"put \{\} there, as in 'cat -n \{\}'\.$"):
        fmrw.survey(tmp_path / "corpus", tmp_path / "out", {"numbered": "cat -n"})
