"""Call sites of a recording: which code asked for its bytes. `Trace` has a method for each question.

Names are looked up when they are first asked for, and kept in the session's folder where that may be written.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.analysis.sites import export, naming, parts, stacks
from fmrw.errors import BadInput, FmrwError, SessionError
from fmrw.session.questions import structure_of
from fmrw.session.sources import FolderSource
from fmrw.text import visible
from fmrw.trace import schema, store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fmrw.session.recording import Recording
    from fmrw.session.sources import Source


def named(source: Source) -> pl.DataFrame:
    """Give a source's call sites with their names, and keep these in a sealed session."""
    known = source.sites()
    if "session" in known.columns:  # a set of recordings, each with sites of its own
        return known
    found = naming.named(known, lambda path: _open(source, path))
    if not found.equals(known) and source.sealed is not None and source.session is not None:
        with contextlib.suppress(
            SessionError, OSError
        ):  # somebody else's, or a full disk: asked again next time
            store.write_sites(source.session, found)
    return found


def keep_names(folder: Path) -> None:
    """Name the call sites of a session that has just been sealed, while the programs that ran are still what they were."""
    with contextlib.suppress(FmrwError, OSError):  # they are named when they are asked for
        named(FolderSource(folder))


def _open(source: Source, path: bytes) -> int:
    """Open a module; one that lies in a monitored directory beneath the mount, so that looking adds no events."""
    root = os.fsencode(str(source.facts().get("root") or "")).rstrip(b"/") + b"/"
    if len(root) > 1 and path.startswith(root):
        fd = source.open(path.removeprefix(root))
        if fd is None:
            raise FileNotFoundError
        return fd
    return naming.open_module(path)


def report(trace: Recording, path: str | None = None, function: str | None = None) -> pl.DataFrame:
    """Say what each call site asked for; see `Trace.site_report`."""
    sites = required(trace)
    events = trace.of(path) if path is not None else trace.events
    if function is not None:
        events = events.filter(pl.col("site").is_in(_having(sites, function)))
    return stacks.report(events, sites)


def calls_without(trace: Recording, path: str | None = None) -> int:
    """Count the reads and writes of a file, or of all, that have no call site, although the recording has some."""
    events = trace.of(path) if path is not None else trace.events
    return schema.transfers(events).filter(pl.col("site").is_null())["call"].n_unique()


def _having(sites: pl.DataFrame, function: str) -> list[int]:
    found = stacks.having(sites, function)
    if not found:
        raise BadInput(
            f"no call site has the function {visible(function)}; `fmrw sites` lists those that are there."
        )
    return found


def required(trace: Recording) -> pl.DataFrame:
    """Give the sites of a recording that has some.

    Raises
    ------
    BadInput
        It has none.
    """
    sites = trace.sites
    if not sites.height:
        reasons = ", ".join(
            sorted(
                {f"{each.get('name')}: {each.get('why')}" for each in trace.facts.get("without_sites", [])}
            )
        )
        why = f" ({visible(reasons)})" if reasons else ""
        raise BadInput(f"this recording has no call sites{why}; record with --sites.")
    return sites


def told(trace: Recording, path: str | None = None, function: str | None = None) -> dict[str, Any]:
    """Give the report in plain values: for each site its calls, bytes, ranges, and frames, the innermost first."""
    known = stacks.chains(trace.sites)
    rows = report(trace, path, function)
    return {"sites": [_site(row, known) for row in rows.iter_rows(named=True)]}


def _site(row: Mapping[str, Any], known: Mapping[int, stacks.Chain]) -> dict[str, Any]:
    chain = known.get(row["site"], ())
    frames = [
        {
            "module": frame.module, "offset": frame.offset, "function": frame.function, "quality": frame.quality,
            **({"line": frame.line} if frame.line else {}),
        }
        for frame in chain
    ]  # fmt: skip
    spans = [list(pair) for pair in zip(row["starts"], row["ends"], strict=True)]
    return {"site": row["site"], "calls": row["calls"], "bytes": row["bytes"], "ranges": spans, "called": row["function"], "cut": stacks.is_cut(chain), "frames": frames}  # fmt: skip


def folded(
    trace: Recording, path: str | None = None, function: str | None = None, weight: str = "bytes"
) -> list[str]:
    """Give the stacks as folded lines for flame graphs."""
    return export.folded(report(trace, path, function), stacks.chains(trace.sites), weight)


def speedscope(
    trace: Recording, path: str | None = None, function: str | None = None, weight: str = "bytes"
) -> dict[str, Any]:
    """Give the stacks as a profile for speedscope."""
    name = path or str(trace.root or "fmrw")
    return export.speedscope(report(trace, path, function), stacks.chains(trace.sites), visible(name), weight)


def by_part(trace: Recording, path: str, described: str | os.PathLike[str] | None = None) -> pl.DataFrame:
    """Set the parts of a file's format against the functions that asked for them; see `Trace.functions_by_part`."""
    called = stacks.names(stacks.chains(required(trace)))
    structure = structure_of(trace, path, described)
    if structure.is_empty():
        raise BadInput(_undescribed(path, described))
    return parts.crosstab(structure, trace.of(path), called)


def _undescribed(path: str, described: str | os.PathLike[str] | None) -> str:
    """Say why no structure is known of a file, and the cure."""
    if described is not None:
        return f"no structure is known of {visible(path)}: {visible(os.fspath(described))} has no ranges; write some into it (start, end, name)."
    return f"no structure is known of {visible(path)}: it has no format that fmrw knows; give its ranges with --structure FILE."


def stack_frames(trace: Recording) -> dict[int, list[str]]:
    """Give the frames of each site, the innermost first, without those of the C library."""
    known = stacks.chains(trace.sites)
    return {site: [visible(frame.label) for frame in stacks.shown(chain)] for site, chain in known.items()}


def stack_texts(trace: Recording) -> dict[int, str]:
    """Give the stack of each site as one line, the innermost frame first, without those of the C library and of Python's interpreter inside."""
    known = stacks.chains(trace.sites)
    return {
        site: " ← ".join(visible(frame.label) for frame in stacks.asking(chain))
        for site, chain in known.items()
    }


def names(trace: Recording) -> dict[int, str]:
    """Give what each site is called by (`fmrw.analysis.sites.stacks.names`)."""
    return stacks.names(stacks.chains(trace.sites))
