"""Commands that ask a recording: what was never read, who read what, and is it as it must be."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import click

from fmrw.commands import Outcome, example, grammar, json_option, recording
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from fmrw.session import Trace


@contextlib.contextmanager
def content_of(trace: Trace, path: str) -> Iterator[str | None]:
    """Give a path to a file's content that no mount covers, as long as it is open; None when it is not at hand."""
    from fmrw.capture.process import descriptor_path  # noqa: PLC0415 - heavy imports only where needed

    fd = trace.content(path)
    try:
        yield None if fd is None else descriptor_path(fd)
    finally:
        if fd is not None:
            os.close(fd)


@grammar.command(epilog=example("fmrw gaps out polyglot.pdf", "fmrw gaps out polyglot.pdf --structure"))
@click.argument("session", type=click.Path())
@click.argument("path")
@click.option(
    "--structure",
    "described",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FILE]",
    help="Set what the format describes against what was read; FILE: a CSV or JSON with ranges of your own.",
)
@json_option
def gaps(session: str, path: str, described: str | None) -> Outcome:
    """Report every range of PATH that was never read, the most remarkable first: what is in it, and what that means."""
    from fmrw.show import crosstab_table, gaps_table  # noqa: PLC0415 - heavy

    trace = recording(session)
    report = gap_report(trace, path)
    data: Any = {"path": trace.resolve(path), "gaps": report.to_dicts()}
    shown: list[Any] = [gaps_table(report)]
    if described is not None:
        table = structure_crosstab(trace, path, described or None)
        data["structure"] = table.to_dicts()
        shown += ["", crosstab_table(table)]
    return Outcome(shown, data, value=report)


def gap_report(trace: Trace, path: str) -> pl.DataFrame:
    """Describe each never-read range of a file; see `fmrw.analysis.gaps.report`."""
    from fmrw.analysis import gaps as analysis  # noqa: PLC0415 - heavy

    name = trace.resolve(path)
    known = trace.facts.get("files", {}).get(name, {})
    with content_of(trace, name) as content:
        return analysis.report(
            trace.gaps(name), trace.size(name), content, recorded_mtime_ns=known.get("mtime_ns")
        )


def structure_crosstab(trace: Trace, path: str, described: str | None) -> pl.DataFrame:
    """Set the ranges a format (or the user's own file) describes against what was read.

    Raises
    ------
    BadInput
        There is neither a file of ranges nor the content they could be taken from.
    """
    from fmrw.analysis.structure import crosstab, structure, structure_from  # noqa: PLC0415 - heavy
    from fmrw.errors import BadInput  # noqa: PLC0415

    if described is not None:
        parts = structure_from(described)
    else:
        with content_of(trace, path) as content:
            if content is None:
                raise BadInput(
                    f"the content of {visible(path)} is not at hand; give its ranges with --structure FILE."
                )
            parts = structure(content)
    return crosstab(parts, trace.coverage(path), trace.size(path))
