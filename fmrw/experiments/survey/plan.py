"""Plan: what a survey runs, kept in its folder, so that whoever goes on with it runs the same."""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fmrw.errors import BadInput, NewerSchema, SessionError, SessionExists
from fmrw.experiments.survey import corpus, rows
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl

SCHEMA = 2  # 1: without `probe`
_NAME = "survey.json"
_PARTS, _SMALLEST, _LARGEST = 128, 32, 4096
_PARTS_OF_JOB = 8  # a part costs its process as much as twenty runs
_LARGEST_PROBED = 64  # maps have many rows, and take long
_ASKED = ("corpus", "files", "sample", "parsers", "seconds", "memory", "grain", "probe")


@dataclass(frozen=True)
class Plan:
    """A survey's plan.

    Attributes
    ----------
    corpus : str
        Absolute path of the directory.
    parsers : dict of list of str
        Name → words, with `{}` for the file's path.
    files : str
        Pattern of names; "": all.
    sample : int
        Files chosen at random; 0: all.
    seconds, memory, grain
        As in `fmrw.experiments.jobs.Limits` and `fmrw.experiments.runs.Runs`.
    probe : int
        Most runs for the map of a file and parser; 0: no maps.
    folder : str
        Where commands are run, if it is there.
    count, batch : int
        Files, and files in a part.
    skipped : dict
        Why → how many were not listed.
    begun : str
        When the corpus was listed, ISO 8601, UTC.
    """

    corpus: str
    parsers: Mapping[str, list[str]]
    files: str = ""
    sample: int = 0
    seconds: float = 60.0
    memory: int = 2 << 30
    grain: int = 0
    probe: int = 0
    folder: str = "/"
    count: int = 0
    batch: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    begun: str = ""
    schema: int = SCHEMA

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.count // self.batch) if self.batch else 0

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return self.count * len(self.parsers)

    @property
    def steps(self) -> int:
        """How many runs and maps there are."""
        return self.runs * (2 if self.probe else 1)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that have files for each parser."""
        return ("runs", "extents", "effects") if self.probe else ("runs", "extents")


class Folder:
    """The folder of a survey: where everything stands.

    Parameters
    ----------
    path : path
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - links stay
        self.spool = self.path / "spool"

    def plan(self) -> Plan:
        """Read the plan.

        Raises
        ------
        SessionError
            There is none, or none that can be read.
        """
        try:
            known = json.loads((self.path / _NAME).read_bytes())
            if not isinstance(known, dict) or "schema" not in known:
                raise ValueError("no plan")  # noqa: TRY301 - one message for all
            if known["schema"] > SCHEMA:
                raise NewerSchema(f"{self._shown}: made by a newer fmrw; `pip install --upgrade fmrw`.")
            return Plan(**known)
        except FileNotFoundError:
            raise SessionError(
                f"{self._shown} is no survey; `fmrw survey CORPUS -o OUT` makes one."
            ) from None
        except (ValueError, TypeError, OSError) as error:
            raise SessionError(
                f"{self._shown}/{_NAME} cannot be read ({visible(str(error))}); run the survey into a new folder."
            ) from None

    @property
    def is_planned(self) -> bool:
        """Whether it holds a survey that can be gone on with."""
        return (self.path / _NAME).exists()

    @property
    def _shown(self) -> str:
        return visible(str(self.path))

    def part(self, table: str, number: int, parser: str | None = None) -> Path:
        """Name the file of a part: of `files`, or of `runs`, `extents` or `effects` of a parser."""
        folder = self.path / table if parser is None else self.path / table / f"parser={parser}"
        return folder / f"part-{number:06d}.parquet"

    def finished(self, plan: Plan) -> set[int]:
        """Give the numbers of the parts that are done."""
        found = [
            {name.name for name in (self.path / "runs" / f"parser={parser}").glob("part-*.parquet")}
            for parser in plan.parsers
        ]
        names = set.intersection(*found)
        return {number for number in range(plan.parts) if f"part-{number:06d}.parquet" in names}

    def write(self, frame: pl.DataFrame, to: Path) -> None:
        """Write a part, whole or not at all, whoever else writes it."""
        descriptor, name = tempfile.mkstemp(dir=self.spool, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)
                frame.write_parquet(file, compression="zstd", statistics=True)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(to)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    # Beginning

    def begin(self, wanted: Plan, listing: Callable[[], corpus.Listing], jobs: int = 0) -> Plan:
        """Start a survey in an empty folder, or go on with the same one.

        Parameters
        ----------
        wanted : Plan
        listing : callable
            Lists the corpus.
        jobs : int
            How many processes run the parts; 0: not known.

        Raises
        ------
        SessionExists
            Something else is there.
        BadInput
            The corpus has no such files.
        """
        if self.is_planned:
            known = self.plan()
            self._require_same(known, wanted)
            return known
        if self.path.exists() and not self._is_begun():
            raise SessionExists(f"{self._shown} holds something that is no survey; name a folder of its own.")
        for folder in ("spool", "files"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        for table in wanted.tables:
            for parser in wanted.parsers:
                (self.path / table / f"parser={parser}").mkdir(parents=True, exist_ok=True)
        plan = self._list(wanted, listing(), jobs)
        self._keep(plan)
        return plan

    def _is_begun(self) -> bool:
        """Tell a folder that is empty, or in which a listing was interrupted, from others."""
        if not self.path.is_dir():
            return False
        return {each.name for each in self.path.iterdir()} <= {"spool", "files", "runs", "extents", "effects"}

    def _require_same(self, known: Plan, wanted: Plan) -> None:
        asked, there = (
            {name: _comparable(asdict(each)[name]) for name in _ASKED} for each in (wanted, known)
        )
        other = [name for name in _ASKED if asked[name] != there[name]]
        if other:
            raise SessionExists(
                f"{self._shown} holds another survey ({', '.join(other)} differ); name another folder, or ask for the same again to go on with it."
            )

    def _list(self, wanted: Plan, listing: corpus.Listing, jobs: int) -> Plan:
        with tempfile.TemporaryFile("w+", dir=self.spool, encoding="utf-8", newline="\n") as lines:
            found = corpus.write_lines(iter(listing), lines)
            if not found:
                pattern = f" whose names fit {visible(wanted.files)}" if wanted.files else ""
                raise BadInput(
                    f"{visible(wanted.corpus)} holds no files{pattern}; name another directory, or another pattern with --files."
                )
            lines.seek(0)
            count = min(found, wanted.sample) if wanted.sample else found
            least, most = (1, _LARGEST_PROBED) if wanted.probe else (_SMALLEST, _LARGEST)
            batch = max(least, min(most, -(-count // (_PARTS_OF_JOB * jobs or _PARTS))))
            plan = replace(
                wanted,
                count=count,
                batch=batch,
                skipped=dict(listing.skipped),
                begun=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            )
            self._write_files(plan, lines, found)
        return plan

    def _write_files(self, plan: Plan, lines: IO[str], found: int) -> None:
        chosen = corpus.read_lines(lines, found, plan.sample)
        for number, batch in enumerate(corpus.batches(chosen, plan.batch)):
            self.write(rows.files_frame(batch), self.part("files", number))

    def _keep(self, plan: Plan) -> None:
        text = json.dumps(asdict(plan), indent=1)
        descriptor, name = tempfile.mkstemp(dir=self.spool, suffix=".tmp")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o644)
            file.write(text + "\n")
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(self.path / _NAME)

    def files_of(self, number: int) -> Iterator[corpus.File]:
        """Give the files of a part."""
        import polars as pl  # noqa: PLC0415 - heavy

        frame = pl.read_parquet(self.part("files", number), hive_partitioning=False)
        return (corpus.File(*row) for row in frame.select(list(rows.FILES)).iter_rows())


def _comparable(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    """Make tuples lists, as they come back from JSON."""
    return json.loads(json.dumps(value))
