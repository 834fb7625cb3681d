"""Questions: coverage, gaps, structure and expectations of one file of a recording. `Trace` has a method for each.

Each takes the recording first and gives plain values or frames. How an answer looks on a screen is told elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.analysis import ranges, summary
from fmrw.capture.system.proc import descriptor_path
from fmrw.errors import BadInput
from fmrw.offsets import Annotation, parse_annotation
from fmrw.text import visible
from fmrw.trace import exactness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fmrw.analysis.compare import Run
    from fmrw.analysis.expectations import Violation
    from fmrw.session.recording import Recording

_GLANCED = 3  # files, and
_GLANCE = 8 << 20  # bytes of each, that are looked at without being asked for


def coverage_report(trace: Recording, path: str) -> dict[str, Any]:
    """Give the ranges of one file that were read and written, and its gaps; see `Trace.coverage_report`."""
    found, size = trace.ranges(path), trace.size(path)
    row = summary.of_merged(found).row(0, named=True) if found.height else _untouched(path, size)
    read, written = (ranges.merge(found.filter(pl.col("op") == op)) for op in ("read", "write"))
    return {
        "path": row["path"],
        "size": size,
        "read": [list(pair) for pair in read.rows()],
        "written": [list(pair) for pair in written.rows()],
        "gaps": [list(pair) for pair in ranges.complement(read, size).rows()],
        "read_bytes": row["bytes_read"],
        "events": found["events"].sum(),
        "fidelity": row["fidelity"],
        "smallest_request": row["smallest_request"],
        **({"mapped": True} if exactness.is_mapped(trace.facts, path) else {}),
    }


def _untouched(path: str, size: int) -> dict[str, Any]:
    """Give what `summary.of_merged` would say of a file that nobody has opened yet."""
    return {"path": path, "size": size, "bytes_read": 0, "fidelity": None, "smallest_request": None}


def gap_report(
    trace: Recording, path: str, most: int | None = None, gaps: Iterable[tuple[int, int]] | None = None
) -> pl.DataFrame:
    """Describe each never-read range of a file; see `Trace.gap_report`. `most` bytes of content are examined, if given."""
    from fmrw.analysis import gaps as analysis  # noqa: PLC0415 - reads signatures and formats, which few questions need

    name = trace.resolve(path)
    known = trace.facts.get("files", {}).get(name, {})
    with content_of(trace, name) as content:
        limit = {} if most is None else {"most": most}
        found = trace.gaps(name) if gaps is None else _as_ranges(gaps)
        report = analysis.report(
            found, trace.size(name), content, recorded_mtime_ns=known.get("mtime_ns"), **limit
        )
    if exactness.is_mapped(trace.facts, name):
        perhaps = pl.lit("but it was mapped, and may have been read so")
        report = report.with_columns(
            note=pl.concat_str([pl.col("note"), perhaps], separator="; ", ignore_nulls=True)
        )
    return report.with_columns(last_read_by=_last_readers(trace, name, report))


def _last_readers(trace: Recording, path: str, gaps: pl.DataFrame) -> pl.Series:
    """Name the function that last read up to each gap, or behind one at the file's beginning; "" where no call sites were recorded."""
    if not gaps.height or not (trace.facts.get("options") or {}).get("sites"):
        return pl.Series([""] * gaps.height, dtype=pl.String)
    from fmrw.analysis.sites import stacks  # noqa: PLC0415 - as above

    called = stacks.names(stacks.chains(trace.sites))
    read = trace.of(path).filter(pl.col("op") == "read", pl.col("site").is_not_null()).sort("seq")
    before = dict(read.select("end", "site").rows())  # the last of each counts
    behind = dict(read.select("start", "site").rows())
    found = [
        before.get(start) if start else behind.get(end)
        for start, end in gaps.select("start", "end").iter_rows()
    ]
    return pl.Series([called.get(site, "") if site is not None else "" for site in found], dtype=pl.String)


def _as_ranges(gaps: Iterable[tuple[int, int]]) -> pl.DataFrame:
    rows = [(start, end) for start, end in gaps]
    return pl.DataFrame(rows, schema={"start": pl.Int64(), "end": pl.Int64()}, orient="row")


def findings(trace: Recording, files: pl.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Find what is remarkable in what was never read, quickly: a few files, and of each a few MiB.

    Parameters
    ----------
    files : frame of `fmrw.analysis.summary.FILES`
        Those of the recording.

    Returns
    -------
    list of (path, dict)
        For the most read files of which a part was not, the first row of `gap_report`, where it says what is there. None for those whose
        content is not at hand or all of one value.
    """
    asked = files.filter(pl.col("reads") > 0, pl.col("largest_gap") > 0).sort(
        "reads", "path", descending=[True, False]
    )
    found = []
    for path in asked["path"].head(_GLANCED):
        report = gap_report(trace, path, _GLANCE)
        if report.height and report["magics"][0] is not None and len(report["magics"][0]):
            found.append((path, report.row(0, named=True)))
    return found


def crosstab(trace: Recording, path: str, described: str | os.PathLike[str] | None = None) -> pl.DataFrame:
    """Set what a format describes against what was read; see `Trace.crosstab`."""
    from fmrw.analysis import structure  # noqa: PLC0415 - as above

    parts = structure_of(trace, path, described)
    return structure.crosstab(parts, trace.coverage(path), trace.size(path))


def structure_of(
    trace: Recording, path: str, described: str | os.PathLike[str] | None = None
) -> pl.DataFrame:
    """Give the named ranges of a file's format, or those of a file of one's own: `start`, `end`, `name`, `depth`.

    Raises
    ------
    BadInput
        There is neither a file of ranges nor the content they could be taken from.
    """
    from fmrw.analysis import structure  # noqa: PLC0415 - as above

    if described is not None:
        return structure.structure_from(os.fspath(described))
    with content_of(trace, path) as content:
        if content is None:
            raise BadInput(
                f"the content of {visible(path)} is not at hand; give its ranges with --structure FILE."
            )
        return structure.structure(content)


def effects_of(trace: Recording, path: str, classes: Sequence[str]) -> Run:
    """Give the bytes of some classes; see `Trace.effects_of`."""
    from fmrw.analysis import effects  # noqa: PLC0415 - as above

    return effects.of_classes(effects_at(trace, path), classes, trace.size(path))


def effects_by_part(trace: Recording, path: str) -> pl.DataFrame:
    """Count classes by part; see `Trace.effects_by_part`."""
    from fmrw.analysis import effects  # noqa: PLC0415 - as above

    found = effects_at(trace, path)
    return effects.by_part(structure_of(trace, path), found)


def effects_at(trace: Recording, path: str) -> pl.DataFrame:
    """Give what a probe found of one file.

    Raises
    ------
    BadInput
        It was not probed.
    """
    found = trace.effects.filter(pl.col("path") == path)
    if not found.height:
        raise BadInput(
            f"{visible(path)} was not probed in this recording; `fmrw probe {visible(path)} -o OUT -- COMMAND {{}}` does."
        )
    return found


def marked_ranges(trace: Recording, path: str, texts: Sequence[str]) -> list[Annotation]:
    """Read what a user wants marked: ranges with names, `0x1c0-0x2000=cavity`, or names of the format's parts, `ZIP end record`.

    Raises
    ------
    BadRange
        Neither a range nor the name of a part.
    BadInput
        A name, and the content that would tell its place is not at hand.
    """
    from fmrw.analysis.structure.lookup import named  # noqa: PLC0415 - as above

    found: list[Annotation] = []
    parts = None
    for text in texts:
        if _RANGE_LIKE.match(text):
            found.append(parse_annotation(text, trace.size(path)))
            continue
        parts = structure_of(trace, path) if parts is None else parts
        name, equals, label = text.partition("=")
        places = named(parts, name)
        said = label.strip() if equals else name.strip() if len(places) == 1 else ""
        found += [Annotation(start, end, said or own) for start, end, own in places]
    return found


_RANGE_LIKE = re.compile(
    r"\s*[0-9][^=]*[-+]|\s*[-+]|\s*end\s*[-+]"
)  # a name with a dash in it begins with a letter


def violations(
    trace: Recording,
    path: str,
    *,
    reads: Sequence[tuple[int, int]] = (),
    never: Sequence[tuple[int, int]] = (),
    fail_under: float | None = None,
) -> list[Violation]:
    """Check what was read of a file; see `Trace.violations`."""
    from fmrw.analysis.expectations import check  # noqa: PLC0415 - as above

    return check(trace.coverage(path), trace.size(path), reads=reads, never=never, fail_under=fail_under)


@contextlib.contextmanager
def content_of(trace: Recording, path: str) -> Iterator[str | None]:
    """Give a path to a file's content that no mount covers, as long as it is open; None when it is not at hand."""
    fd = trace.content(path)
    try:
        yield None if fd is None else descriptor_path(fd)
    finally:
        if fd is not None:
            os.close(fd)


def unused_opens(events: pl.LazyFrame) -> list[str]:
    """Name the files that were opened, closed, and never read, written or truncated by anybody.

    Parameters
    ----------
    events
        The events of a session, as `fmrw.trace.schema.EVENTS`.

    Returns
    -------
    list of str
        Paths, sorted; empty files are left out, since there is nothing to read in them.
    """
    good = events.filter(pl.col("handle") > 0, pl.col("errno") == 0)
    by_path = good.group_by("path").agg(
        pl.col("op").is_in(["read", "write", "truncate"]).any().alias("used"),
        (pl.col("op") == "close").any().alias("closed"),
        pl.col("size").last(),
    )
    idle = by_path.filter(~pl.col("used"), pl.col("closed"), pl.col("size") > 0)
    return idle.select(pl.col("path").sort()).collect()["path"].to_list()
