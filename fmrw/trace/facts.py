"""`session.json`: what is known of a session, written whole or not at all, read whoever wrote it.

A session may come from a stranger: links, pipes and files that claim to be huge are refused, and facts of another type than
ours are left out.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import stat
from typing import TYPE_CHECKING, Any

from fmrw.errors import NewerSchema, SessionError
from fmrw.text import visible
from fmrw.trace.version import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FACTS = "session.json"
_LONGEST, _PARTS = 64 << 20, 1_000_000  # longest session.json, most objects in one
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "root": str, "host": str, "started": str, "ended": str, "options": dict, "files": dict, "command": list,
    "renames": list, "events": int, "lost": int, "faults": int, "guessed_calls": int, "ephemeral": bool, "ranges": dict,
    "lacks": list, "rings": list, "without_sites": list, "mapped": list,
}  # fmt: skip


def now() -> str:
    """Give the present time as sessions write it: ISO 8601, UTC, microseconds."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")


def moment(text: str | None) -> dt.datetime | None:
    """Read a time that a session tells, in UTC; None where it is none, since a stranger may have written it."""
    try:
        time = dt.datetime.fromisoformat(text or "")
        return time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None


def write_facts(folder: Path, facts: Mapping[str, Any], *, lasting: bool = False) -> None:
    """Write `session.json`, whole or not at all."""
    with replacing(folder / FACTS, lasting=lasting) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=True) + "\n")


def read_facts(folder: Path) -> dict[str, Any]:
    """Read `session.json`.

    Raises
    ------
    SessionError
        It is missing or damaged.
    NewerSchema
        A newer fmrw wrote it.
    """
    try:
        facts = json.loads(_text_of(folder))
    except OSError as error:
        raise SessionError(
            f"{visible(str(folder))} is no session ({FACTS}: {error.strerror}); give a folder that fmrw recorded into."
        ) from error
    except (ValueError, RecursionError) as error:
        raise SessionError(
            f"{visible(str(folder))}: {FACTS} is damaged ({visible(str(error))}); restore it from a copy."
        ) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("schema"), int):
        raise SessionError(
            f"{visible(str(folder))}: {FACTS} does not describe a session; give a folder that fmrw recorded into."
        )
    if facts["schema"] > SCHEMA:
        raise NewerSchema(
            f"{visible(str(folder))} was written by a newer fmrw (schema {facts['schema']}, this one reads {SCHEMA}); `pip install --upgrade fmrw` reads it."
        )
    return _typed(facts)


def _text_of(folder: Path) -> bytes:
    """Read a file that should be small and plain, whatever it is."""
    fd = os.open(folder / FACTS, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("not a regular file")
        data = file.read(_LONGEST + 1)
    if len(data) > _LONGEST or data.count(b"{") + data.count(b"[") > _PARTS:
        raise ValueError("too large")
    return data


def _typed(facts: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is of another type than ours."""
    kept: dict[str, Any] = {
        name: value for name, value in facts.items() if isinstance(value, _KINDS.get(name, object))
    }
    for name in ("command", "mapped", "lacks"):
        if not all(isinstance(word, str) for word in kept.get(name, ())):
            del kept[name]
    for name in ("renames", "rings", "without_sites"):
        if name in kept:
            kept[name] = [known for known in kept[name] if isinstance(known, dict)]
    if "\0" in kept.get("root", ""):
        del kept["root"]
    if not isinstance(kept.get("options", {}).get("capture", ""), str):
        del kept["options"]["capture"]
    if "files" in kept:
        kept["files"] = {path: known for path, known in kept["files"].items() if isinstance(known, dict)}
    return kept


@contextlib.contextmanager
def replacing(path: Path, *, lasting: bool = False) -> Iterator[Path]:
    """Give a temporary name beside a path; rename it there when all went well, with `lasting` once it is on the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.touch(mode=0o600)
        yield temporary
        if lasting:
            persist(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def persist(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
