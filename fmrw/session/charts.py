"""Charts of a trace by name: what each needs from the recording, and whose bytes it says it shows.

`fmrw.figures` draws frames; here a recording and the name of a file become the frame, the caption and the content a chart
asks for. The command line, the notebook and `Trace` share these functions. A chart's module is imported when it is drawn: the heatmap of
a run waits for no other, nor for altair.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.capture.system.proc import descriptor_path
from fmrw.errors import BadChoice, BadInput
from fmrw.figures.page import About, Sheet
from fmrw.figures.theme import SCREEN, Look
from fmrw.offsets import Annotation
from fmrw.session import questions
from fmrw.session.identity import sha256, unchanged
from fmrw.text import visible
from fmrw.trace.exactness import capture_of, is_mapped
from fmrw.trace.facts import moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import altair as alt

    from fmrw.figures.functions import Functions
    from fmrw.session.recording import Recording


_DAY = 86_400  # seconds


def about(trace: Recording, path: str) -> About:
    """Say whose bytes a figure shows: the file, the command, the mode, the content's hash where it is at hand."""
    events = trace.of(path)
    found = _described(trace, path, events)
    return replace(found, sha256=sha256(trace, path), programs=trace.programs).seen_in(events)


def _described(trace: Recording, path: str, events: pl.DataFrame) -> About:
    return describe(path, trace.size(path), trace.facts, events["time"].max())  # type: ignore[arg-type]  # a datetime


def describe(path: str, size: int, facts: Mapping[str, Any], date: dt.datetime | None) -> About:
    """Say whose bytes a figure shows, from a session's facts alone."""
    command = facts.get("command")
    if date is not None and date.timestamp() < _DAY:  # a log without times, whose events count from there
        date = None
    return About(
        path,
        size,
        mapped=is_mapped(facts, path),
        capture=capture_of(facts),
        command=shlex.join(command) if command else None,
        date=moment(facts.get("ended")) or date,
    )


@contextlib.contextmanager
def _content(trace: Recording, path: str) -> Iterator[int]:
    """Open a file's content as it was recorded."""
    fd = trace.content(path)
    if fd is None:
        raise BadInput(
            f"the content of {visible(path)} is not at hand, and this chart needs it; draw another, or bring the file back."
        )
    try:
        if trace.of(path).height and not unchanged(trace.facts, path, os.fstat(fd)):
            raise BadInput(
                f"{visible(path)} has changed since the session, and this chart shows content; record again."
            )
        yield fd
    finally:
        os.close(fd)


def _parts(trace: Recording, path: str, options: dict[str, Any]) -> pl.DataFrame | None:
    """Take the option `structure` out: the format's named ranges where it asks for them, True or a file of one's own."""
    asked = options.pop("structure", None)
    if asked is None or asked is False:
        return None
    return questions.structure_of(trace, path, None if asked is True else asked)


def _functions(trace: Recording, path: str, options: dict[str, Any]) -> Functions | None:
    """Take the option `functions` out: whether the functions that asked are coloured, and no longer the programs.

    Raises
    ------
    BadInput
        They are asked for, and the recording has no call sites.
    """
    if not options.pop("functions", False):
        return None
    from fmrw.figures.functions import Functions  # noqa: PLC0415 - as below
    from fmrw.session import sites  # noqa: PLC0415 - reads programs, which few charts need

    sites.required(trace)
    return Functions(trace.of(path), sites.names(trace), sites.stack_texts(trace))


def commands(trace: Recording) -> dict[str, str]:
    """Give the command line of each process by its name in a figure, "7z [4711]"."""
    named = trace.processes.select("name", "pid", "cmdline").drop_nulls().filter(pl.col("cmdline") != "")
    return {f"{name} [{pid}]": _short(cmdline) for name, pid, cmdline in named.iter_rows()}


def _short(command: str) -> str:
    """Leave the folder of the program out of a command line."""
    program, blank, rest = command.partition(" ")
    return f"{program.rpartition('/')[2] or program}{blank}{rest}"


def _heatmap(trace: Recording, path: str, **options: Any) -> Sheet:  # noqa: ANN401 - the chart's own
    from fmrw.figures.heatmap import sheet  # noqa: PLC0415 - each chart imports what it needs

    return sheet(trace.of(path), about(trace, path), structure=_parts(trace, path, options), **options)


def _strip(trace: Recording, path: str, **options: Any) -> alt.LayerChart:  # noqa: ANN401 - the chart's own
    from fmrw.figures.strip import strip  # noqa: PLC0415 - each chart imports what it needs

    matters = trace.effects.filter(pl.col("path") == path)
    return strip(
        trace.of(path), about(trace, path), structure=_parts(trace, path, options), matters=matters, **options
    )


def _timeline(trace: Recording, path: str, **options: Any) -> alt.LayerChart:  # noqa: ANN401 - the chart's own
    from fmrw.figures.plots import timeline  # noqa: PLC0415 - each chart imports what it needs

    return timeline(
        trace.of(path),
        about(trace, path),
        structure=_parts(trace, path, options),
        functions=_functions(trace, path, options),
        **options,
    )


def _access_order(trace: Recording, path: str, **options: Any) -> alt.LayerChart:  # noqa: ANN401 - the chart's own
    from fmrw.figures.plots import access_order  # noqa: PLC0415 - each chart imports what it needs

    return access_order(
        trace.of(path),
        about(trace, path),
        structure=_parts(trace, path, options),
        functions=_functions(trace, path, options),
        **options,
    )


def _lanes(trace: Recording, path: str, **options: Any) -> alt.LayerChart:  # noqa: ANN401 - the chart's own
    from fmrw.figures.strip import lanes  # noqa: PLC0415 - each chart imports what it needs

    return lanes(
        trace.of(path),
        about(trace, path),
        commands=commands(trace),
        structure=_parts(trace, path, options),
        functions=_functions(trace, path, options),
        **options,
    )


def _differential(trace: Recording, path: str, **options: Any) -> alt.LayerChart:  # noqa: ANN401 - the chart's own
    from fmrw.figures.differential import differential  # noqa: PLC0415 - each chart imports what it needs

    return differential(
        trace.of(path),
        about(trace, path),
        commands=commands(trace),
        structure=_parts_at_hand(trace, path, options),
        **options,
    )


def compared(
    recordings: Mapping[str, tuple[Recording, str]],
    **options: Any,  # noqa: ANN401 - the chart's own
) -> alt.LayerChart:
    """Draw the differential of several recordings of one file.

    Parameters
    ----------
    recordings
        By name: a recording, and the file's path in it. The format's parts are those of the first.
    """
    from fmrw.figures.differential import differential  # noqa: PLC0415 - each chart imports what it needs

    (trace, path), *rest = recordings.values()
    shown = about(trace, path)
    others = tuple(_described(each, own, each.of(own)) for each, own in rest)
    if any(each.recorded != shown.recorded for each in others):
        shown = replace(shown, others=others)
    programs = tuple(dict.fromkeys(name for each, _ in recordings.values() for name in each.programs))
    mapped = any(is_mapped(each.facts, own) for each, own in recordings.values())
    size = max(each.size(name) for each, name in recordings.values())
    return differential(
        {name: each.of(own) for name, (each, own) in recordings.items()},
        replace(
            shown,
            size=size,
            programs=programs,
            processes=None,
            page=None,
            smallest=None,
            requests=None,
            mapped=mapped,
        ),
        commands=_single_commands(recordings),
        colours=_colours(recordings, programs, options.get("look", SCREEN)),
        structure=_parts_at_hand(trace, path, options),
        **options,
    )


def _readers(trace: Recording, path: str) -> list[tuple[str, int]]:
    read = trace.of(path).filter(pl.col("op") == "read", pl.col("end") > pl.col("start"))
    return read.select("process", "pid").unique(maintain_order=True).rows()


def _single_commands(recordings: Mapping[str, tuple[Recording, str]]) -> dict[str, str]:
    """Give the command line of each recording in which a single process read the file."""
    found: dict[str, str] = {}
    for name, (trace, path) in recordings.items():
        readers = _readers(trace, path)
        known = commands(trace).get("{} [{}]".format(*readers[0])) if len(readers) == 1 else None
        found |= {name: known} if known else {}
    return found if len(set(found.values())) == len(found) else {}


def _colours(
    recordings: Mapping[str, tuple[Recording, str]], programs: Sequence[str], look: Look
) -> dict[str, str]:
    """Give each recording the colour of its program; where it has several, or two have the same one, that of its name."""
    from fmrw.figures.programs import program_colours  # noqa: PLC0415 - as above

    read = {name: sorted({who for who, _ in _readers(*each)}) for name, each in recordings.items()}
    single = [who[0] for who in read.values() if len(who) == 1]
    called = {
        name: who[0] if len(who) == 1 and single.count(who[0]) == 1 else name for name, who in read.items()
    }
    known = program_colours({*programs, *called.values()}, look.palette)
    return {name: known[who] for name, who in called.items()}


def _parts_at_hand(trace: Recording, path: str, options: dict[str, Any]) -> pl.DataFrame | None:
    """Take the format's named ranges unless the option `structure` is False; where nobody asked, only if the content is at hand."""
    if "structure" in options:
        return _parts(trace, path, options)
    with contextlib.suppress(BadInput), _content(trace, path):
        return questions.structure_of(trace, path)
    return None


def _entropy(trace: Recording, path: str, **options: Any) -> alt.LayerChart:  # noqa: ANN401 - the chart's own
    from fmrw.figures.entropy import entropy  # noqa: PLC0415 - each chart imports what it needs

    options["structure"] = _parts(trace, path, options)
    with _content(trace, path) as fd, open(fd, "rb", closefd=False) as file:
        return entropy(file, trace.of(path), about(trace, path), **options)


def _crosstab(
    trace: Recording,
    path: str,
    annotations: Sequence[Annotation] = (),
    **options: Any,  # noqa: ANN401 - as above
) -> alt.LayerChart:
    from fmrw.analysis.structure import crosstab, structure  # noqa: PLC0415 - as above
    from fmrw.figures.strip import crosstab as crosstab_chart  # noqa: PLC0415

    del annotations  # classes, not places
    with _content(trace, path) as fd:
        parts = structure(descriptor_path(fd))
    return crosstab_chart(
        crosstab(parts, trace.coverage(path), trace.size(path)), about(trace, path), **options
    )


def _effects(trace: Recording, path: str, **options: Any) -> alt.LayerChart:  # noqa: ANN401 - the chart's own
    from fmrw.figures.effects import effects  # noqa: PLC0415 - each chart imports what it needs

    return effects(
        questions.effects_at(trace, path),
        about(trace, path),
        structure=_parts_at_hand(trace, path, options),
        **options,
    )


CHARTS: dict[str, Callable[..., alt.LayerChart | Sheet]] = {
    "heatmap": _heatmap,
    "strip": _strip,
    "timeline": _timeline,
    "lanes": _lanes,
    "access-order": _access_order,
    "entropy": _entropy,
    "crosstab": _crosstab,
    "differential": _differential,
    "effects": _effects,
}
"""Name → function(trace, path, annotations=…, look=…) → chart, or a sheet that altair is not needed to draw."""


def chart(
    trace: Recording,
    path: str,
    name: str = "heatmap",
    *,
    look: Look = SCREEN,
    **options: Any,  # noqa: ANN401 - the chart's own
) -> alt.LayerChart:
    """Draw a chart of one file.

    Raises
    ------
    FigureError
        Unknown chart; the message lists the known ones.
    BadInput
        The chart needs the file's content, and that is missing or has changed.
    """
    made = drawn(trace, path, name, look=look, **options)
    return made.chart() if isinstance(made, Sheet) else made


def drawn(
    trace: Recording,
    path: str,
    name: str = "heatmap",
    *,
    look: Look = SCREEN,
    **options: Any,  # noqa: ANN401 - the chart's own
) -> alt.LayerChart | Sheet:
    """Draw a chart of one file as `fmrw.figures.export` takes it; as `chart`, which see, but altair is imported only where it is needed."""
    if name not in CHARTS:
        raise BadChoice(f"{visible(name)!r} is not a chart; take one of {', '.join(CHARTS)}.")
    if "annotations" in options:
        options["annotations"] = [Annotation(*each) for each in options["annotations"]]
    return CHARTS[name](trace, path, look=look, **options)
