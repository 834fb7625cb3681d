"""Verbs: questions and reports as functions, for marimo, scripts, notebooks and the commands of the same names.

    fmrw.gaps("samples/debian.iso")     # as `%fmrw gaps samples/debian.iso`
    fmrw.gaps(trace, "debian.iso")      # of a trace at hand

A recording is a `Trace` or whatever a command takes: a session folder, a directory monitored now, a file below one, a CSV, a strace log.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fmrw.session import lookup
from fmrw.session.lookup import NOTHING, file_named, located
from fmrw.session.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from altair import LayerChart

    from fmrw.explorer.browse import Browser
    from fmrw.explorer.explorer import Explorer
    from fmrw.offsets import Annotation

Recording = Trace | str | os.PathLike[str]


class Comparison(NamedTuple):
    """Two runs over one file, compared.

    Attributes
    ----------
    ranges : frame
        The file cut where who reads changes; see `fmrw.analysis.compare.differential`.
    agreement : dict
        Bytes both read, either read, and their ratio; see `fmrw.analysis.compare.agreement`.
    order : dict
        How differently they went through the bytes they share; see `fmrw.analysis.compare.order_differences`.
    difference : str
        In what the two files differ, where the recordings are not of one file; "" otherwise.
    fidelity : str or None
        `byte`, or `page` where a range of either is whole pages; None where nothing was read.
    smallest_request : int or None
        Bytes of the smallest request of both.
    mapped : bool
        Whether the file was also mapped in a log of strace, which does not have what was read through the map.
    """

    ranges: pl.DataFrame
    agreement: dict[str, Any]
    order: dict[str, Any]
    difference: str
    fidelity: str | None
    smallest_request: int | None
    mapped: bool


def view(
    recording: Recording,
    path: str | None = None,
    *,
    against: Sequence[Recording] = (),
    at_hand: Mapping[Path, Trace] = NOTHING,
) -> Explorer | Browser:
    """Explore a file, or choose among the files of a recording.

    Parameters
    ----------
    against
        Other recordings of the file: bytes are coloured by who alone read them. More can be named in the explorer's compare menu.
    at_hand
        Traces the caller holds already, by directory.
    """
    from fmrw.explorer.browse import browse  # noqa: PLC0415 - widgets are for notebooks
    from fmrw.explorer.comparison import compare_with  # noqa: PLC0415 - the same
    from fmrw.explorer.explorer import explore  # noqa: PLC0415 - the same
    from fmrw.session.identity import difference  # noqa: PLC0415 - as they are

    trace, chosen = (_file if against else _found)(recording, path)

    def opened(name: Any, file: str) -> tuple[Trace, str]:  # noqa: ANN401 - a `Recording`
        other = name if isinstance(name, Trace) else lookup.recording(name, at_hand)
        return other, difference((trace, file), (other, other.resolve(file)))

    if chosen is None:
        table = browse(trace)
        table.opener = opened
        return table
    shown = explore(trace, chosen)
    shown.opener = opened
    for each in against:
        compare_with(shown, each)
    return shown


def browse(recording: Recording) -> Browser:
    """Choose among the files of a recording, in a table that sorts and searches; a click on a name opens the explorer."""
    from fmrw.explorer import browse as table  # noqa: PLC0415 - widgets are for notebooks

    return table.browse(_found(recording, None)[0])


def explore(recording: Recording, path: str | os.PathLike[str] | None = None, **state: Any) -> Explorer:  # noqa: ANN401 - the explorer's traits
    """Show a file of a recording, from the whole of it down to one byte; see `Trace.explore`."""
    trace, chosen = _file(recording, None if path is None else os.fspath(path))
    return trace.explore(chosen, **state)


def files(recording: Recording) -> pl.DataFrame:
    """Give what each program did with each file of a recording; see `Trace.by_program`."""
    return _found(recording, None)[0].by_program()


def coverage(recording: Recording, path: str | None = None) -> dict[str, Any]:
    """Give what was read and written of a file, and its gaps, as lists of [start, end); see `Trace.coverage_report`."""
    trace, chosen = _file(recording, path)
    return trace.coverage_report(chosen)


def gaps(recording: Recording, path: str | None = None) -> pl.DataFrame:
    """Describe every range of a file that was never read, the most remarkable first; see `Trace.gap_report`."""
    trace, chosen = _file(recording, path)
    return trace.gap_report(chosen)


def sites(recording: Recording, path: str | None = None, function: str | None = None) -> pl.DataFrame:
    """Say what each call site asked for, of one file or of all, the one with the most bytes first; see `Trace.site_report`."""
    trace, chosen = _found(recording, path)
    return trace.site_report(chosen, function)


def report(
    recording: Recording,
    *paths: str,
    output: str | os.PathLike[str] = ".",
    formats: Sequence[str] = ("csv", "pdf"),
    charts: Sequence[str] = ("heatmap",),
    preset: str = "page",
    annotations: Sequence[Annotation] = (),
    borders: bool = False,
    functions: bool = False,
) -> list[Path]:
    """Write data and figures of files, or of every file that was touched; see `fmrw report --help`."""
    from fmrw.figures import theme  # noqa: PLC0415 - altair takes a second to import
    from fmrw.session import reports  # noqa: PLC0415 - the same

    trace, _ = _found(recording, None)
    chosen = [trace.resolve(path) for path in paths] or None
    style = reports.Style(charts, theme.preset(preset), annotations, borders=borders, functions=functions)
    return reports.write(trace, Path(output), formats, paths=chosen, style=style)


def diff(a: str, b: str, path: str | None = None) -> pl.DataFrame:
    """Compare what two recordings, or two processes (`RECORDING:PROCESS`), read of a file: ranges, and who read each."""
    return compare(a, b, path).ranges


def compare(
    a: str, b: str, path: str | None = None, *, at_hand: Mapping[Path, Trace] = NOTHING
) -> Comparison:
    """Compare what two recordings, or two processes (`RECORDING:PROCESS`), read of a file.

    Parameters
    ----------
    path
        The file; None means the only one that was read.
    at_hand
        Traces the caller holds already, by directory.

    Raises
    ------
    SessionError, BadInput, UnknownPath
        There is no such recording, file or process.
    """
    from fmrw.analysis import compare as analysis  # noqa: PLC0415 - the verb has its name
    from fmrw.session.identity import difference  # noqa: PLC0415 - as they are
    from fmrw.trace import exactness  # noqa: PLC0415 - with it

    one, two = file_named(a, path, at_hand), file_named(b, path, at_hand)
    runs = {"A": one[0].run(one[1]), "B": two[0].run(two[1])}
    read = [run.events for run in runs.values() if run.events is not None]
    asked = [each for each in map(exactness.smallest_request, read) if each is not None]
    agreed = analysis.agreement(runs).row(0, named=True)
    order = analysis.order_differences(runs["A"], runs["B"]).row(0, named=True)
    return Comparison(
        analysis.differential(runs), agreed, order, difference(one, two),
        exactness.joint(map(exactness.fidelity, read)), min(asked, default=None),
        any(exactness.is_mapped(trace.facts, name) for trace, name in (one, two)),
    )  # fmt: skip


def compare_chart(
    a: str,
    b: str,
    path: str | None = None,
    *,
    at_hand: Mapping[Path, Trace] = NOTHING,
    **options: Any,  # noqa: ANN401 - the chart's own
) -> LayerChart:
    """Draw what only one of two recordings, or two processes, requested of a file, what both, and what nobody; see `compare`.

    Parameters
    ----------
    **options
        `look` (`fmrw.figures.theme.preset`), `annotations`, `structure`.
    """
    from fmrw.session.charts import compared  # noqa: PLC0415 - altair takes a second to import

    names = (a, b) if a != b else (f"A {a}", f"B {b}")
    return compared(
        {name: file_named(each, path, at_hand) for name, each in zip(names, (a, b), strict=True)}, **options
    )


def _found(recording: Recording, path: str | None) -> tuple[Trace, str | None]:
    return (recording, path) if isinstance(recording, Trace) else located(os.fspath(recording), path)


def _file(recording: Recording, path: str | None) -> tuple[Trace, str]:
    trace, chosen = _found(recording, path)
    return trace, chosen if chosen is not None else trace.only_file()
