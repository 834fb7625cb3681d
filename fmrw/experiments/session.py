"""Session: the accesses of a run as a session folder, which everything else of fmrw opens."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fmrw.session import saving
from fmrw.text import name_text, path_text
from fmrw.trace import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmrw.experiments.observation import Observation

_PROCESS = 2  # as in a slot


def events(observation: Observation, program: str) -> pl.DataFrame:
    """Give the accesses of a run as events, `fmrw.trace.schema.EVENTS`; process numbers are those of the slot."""
    begun = dt.datetime.now(dt.UTC)
    rows = [
        {
            "seq": number, "time": begun + dt.timedelta(seconds=access.time_s), "op": access.op, "path": path_text(access.path),
            "call": number, "start": access.start, "end": access.end, "requested": access.requested, "size": access.size,
            "fidelity": "page" if access.page else "byte", "handle": access.handle + 1, "pid": _PROCESS,
            "tid": _PROCESS + access.thread, "process": program, "errno": access.errno, "thread": program,
        }
        for number, access in enumerate(observation.accesses)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=schema.EVENTS, orient="row")


def save(
    folder: Path,
    observation: Observation,
    command: Sequence[str],
    *,
    directory: Path,
    grain: int,
    facts: Mapping[str, Any],
) -> None:
    """Write a run as a session.

    Raises
    ------
    SessionExists, SessionError
        The folder holds something already, or cannot be written.
    """
    program = Path(command[0]).name[:15]
    process = {
        "pid": _PROCESS, "tid": _PROCESS, "ppid": _PROCESS - 1, "name": program, "exe": name_text(command[0]), "cmdline": name_text(" ".join(command)),
        "first_seen": dt.datetime.now(dt.UTC), "thread": program,
    }  # fmt: skip
    processes = pl.DataFrame([process], schema=schema.PROCESSES)
    known = {
        "root": str(directory), "command": list(command), "capture": "exact", "options": {"capture": "exact", "grain": grain}, **facts,
    }  # fmt: skip
    nowhere = pl.DataFrame(schema=schema.SITES)
    saving.save(
        folder, events(observation, program), processes=processes, sites=nowhere, facts=known, marked={}
    )
