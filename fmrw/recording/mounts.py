"""Mounts of this machine: what is monitored now, whoever began it, and how it is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmrw.capture.mounts import registry
from fmrw.capture.mounts import unmount as unmounting
from fmrw.errors import Busy, NotMounted, SessionError
from fmrw.recording.mounted import live
from fmrw.recording.remarks import remarks
from fmrw.text import name_text, typed, visible

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

_SEAL_S = 600  # a session of 100 million events takes a while to become Parquet


def unmount(directory: str | os.PathLike[str], *, force: bool = False, abort: bool = False) -> Path | None:
    """Stop monitoring a directory, whoever mounted it, and wait for its session.

    Parameters
    ----------
    directory, force, abort
        As for `Mount.unmount`.

    Returns
    -------
    Path or None
        The session's folder; None when it is not kept or not known.

    Raises
    ------
    NotMounted, Busy
    """
    root = registry.resolved(directory)
    own = next((mount_ for mount_ in live() if mount_.root == root), None)
    if own is not None:
        own.unmount(force=force, abort=abort)
        return own.session
    there, worker = registry.mounted_at(root) is not None, registry.worker_of(root)
    kept = worker is not None and not registry.session_facts(worker.folder).get("ephemeral")
    if worker is not None and not abort:  # one whose owner is gone would take the mount away before us
        unmounting.wake(worker.pid)
    try:
        ends = unmounting.unmount(root, force=force, abort=abort)
    except NotMounted:
        if not there:
            raise
        ends = not force  # somebody else was faster: the worker that was woken, perhaps
    if worker is None:
        return None
    if abort:
        unmounting.end(worker.pid)
    unmounting.await_end(worker.pid, _SEAL_S if ends else 1)
    return worker.session if kept else None


def wait_until_unmounted(directory: Path, worker: int) -> None:
    """Wait for a worker's end; whatever interrupts the wait unmounts."""
    try:
        unmounting.await_end(worker, None)
    finally:
        if registry.mounted_at(directory) is not None:
            try:
                unmounting.unmount(directory)
            except Busy:
                unmounting.detach(directory)
            unmounting.await_end(worker, _SEAL_S)


def status() -> list[dict[str, Any]]:
    """Say what is monitored on this machine now, one entry per mount, without touching any of them."""
    return [_status(point) for point in registry.mounts()]


def _status(point: registry.MountPoint) -> dict[str, Any]:
    worker = registry.worker_of(point.root)
    entry: dict[str, Any] = {"root": name_text(point.root), "worker": None, "session": None, "notes": []}
    if worker is None:
        return {**entry, **_without_worker(point.root)}
    facts = registry.session_facts(worker.folder)
    capture = (facts.get("options") or {}).get("capture", "?")
    counters, state = _counters(worker.folder), _state(worker.pid)
    return {
        **entry, "worker": worker.pid, "session": name_text(worker.session), "state": state, "capture": capture,
        "parent": facts.get("parent"), "started": facts.get("started"), **counters,
        "notes": remarks({**facts, **counters}) + _notes(point.root, state, counters),
    }  # fmt: skip


def _without_worker(root: Path) -> dict[str, Any]:
    shown = visible(str(root))
    found: dict[str, dict[str, Any]] = {
        "answers": {"state": "in a thread"},
        "dead": {
            "state": "dead",
            "notes": [f"the worker of {shown} is gone; `fmrw doctor --fix` takes the mount away."],
        },
        "silent": {
            "state": "silent",
            "notes": [
                f"{shown} does not answer; `fmrw unmount --abort {typed(root)}` frees who waits for it."
            ],
        },
    }
    return found[registry.probe(root)]


def _notes(root: Path, state: str, counters: Mapping[str, Any]) -> list[str]:
    shown = visible(str(root))
    notes = []
    if state == "stopped":
        notes.append(
            f"the worker of {shown} is stopped, and who reads there waits; `fmrw unmount --abort {typed(root)}` frees them."
        )
    if counters.get("lost"):
        notes.append(
            f"{shown}: {counters['lost']:,} events were lost because the disk of the session is full; make room there."
        )
    return notes


def _state(pid: int) -> str:
    import psutil  # noqa: PLC0415 - where nothing is monitored nobody needs it

    try:
        stopped = psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return "ending"
    return "stopped" if stopped else "monitoring"


def _counters(session: Path) -> dict[str, Any]:
    """Give a live session's counters; empty while its journal is not there."""
    from fmrw.trace import store  # noqa: PLC0415 - polars, and where nothing is monitored nobody needs it

    try:
        with store.following(session) as follower:
            counters = {name: follower.head.counter(name) for name in ("lost", "faults")}
            if follower.head.counter("rings"):
                follower.names.refresh()
            told = {"lacks": follower.head.lacks(), "rings": follower.names.rings}
            return {"events": follower.count(), **counters, **told}
    except SessionError:
        return {}
