"""The files that appear in a mount, and what is left of a session when its owner is gone.

`makers` gives the worker a function per suffix. It hands the work to a helper process — spawned, never forked, kept warm, with
nothing on its standard input — since rendering in the serving process stalls watched reads and since vl-convert can abort
the process it runs in. What the helper does stands in `fmrw.rendering`, which this process never imports. The helper follows the journal by itself, so that a report costs what is new, and answers
with a file in the session's folder that is unlinked at once. A helper that died is replaced, one that grew is too.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import multiprocessing
import multiprocessing.process
import os
import shutil
import sys
import threading
import types
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import psutil

from fmrw.capture.process import descriptor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LARGEST = 600 << 20  # bytes a helper may hold after a report
_NICE = 5  # a watched read waits less for its turn, and a report still gets a quarter of a busy processor
SUFFIXES = {b".csv": "csv", b"-heatmap.pdf": "pdf"}


class Helper:
    """One helper process, started at the first report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def run(self, module: str, function: str, *arguments: str) -> Any:  # noqa: ANN401 - what the function gives
        """Run a function, named so that only the helper imports it; once more in a new helper if that one died."""
        try:
            answer, resident = self._submit(module, function, *arguments).result()
        except BrokenProcessPool:
            self._retire()
            answer, resident = self._submit(module, function, *arguments).result()
        if resident > _LARGEST:
            self._retire()
        return answer

    def _retire(self) -> None:
        """Let the present helper finish what it has, and start another at the next report."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)

    def _submit(self, *call: str) -> Future[Any]:
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, context, initializer=_prepare)
            with _without_main():
                return self._pool.submit(_call, *call)

    def close(self) -> None:
        """End the helper."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the program's main module while a process is spawned, which would run it again: a user's script, or standard input."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _prepare() -> None:
    """Step back behind watched programs, and end when the parent does, even by SIGKILL; the pool's queue alone would not notice."""
    os.nice(_NICE)
    import_quickly(*_WIDGETS)
    parent = multiprocessing.parent_process()
    if parent is not None:
        watch = functools.partial(_exit_after, parent)
        threading.Thread(target=watch, daemon=True).start()


_CHECKERS = (
    "rfc3987_syntax",
    "fqdn",
    "isoduration",
    "rfc3339_validator",
    "rfc3986_validator",
    "uri_template",
    "webcolors",
)
_WIDGETS = ("anywidget", "IPython")


def import_quickly(*also: str) -> None:
    """Spare a process of ours most of altair's import.

    altair imports jsonschema, which imports what Jupyter has brought to check formats that no chart has; one of them compiles a
    grammar for a second. jsonschema does without, and altair without what is named `also`.
    """
    for name in (*_CHECKERS, *also):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None makes the import fail, see sys.modules


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _call(module: str, function: str, *arguments: str) -> tuple[Any, int]:
    """Call a function by name; give its answer and how many bytes this process holds."""
    answer = getattr(importlib.import_module(module), function)(*arguments)
    return answer, psutil.Process().memory_info().rss


_helper = Helper()


def makers(session: int) -> Mapping[bytes, Callable[[str], int]]:
    """Give the table of reports for a mount.

    Parameters
    ----------
    session : int
        Descriptor of the session's folder.

    Returns
    -------
    mapping of bytes to callable
        Suffix → function(path as in the events) → descriptor of an unlinked file with the report.
    """
    return {suffix: functools.partial(_make, session, kind) for suffix, kind in SUFFIXES.items()}


def _make(session: int, kind: str, path: str) -> int:
    name = _helper.run("fmrw.rendering", "render", descriptor_of(os.getpid(), session), path, kind)
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=session)
    os.unlink(name, dir_fd=session)
    return fd


def close() -> None:
    """End the helper; the next report starts another one."""
    _helper.close()


def finish(session: str, *, ephemeral: bool) -> None:
    """Do what the owner would have done: drop a temporary session, seal a kept one."""
    if ephemeral:
        shutil.rmtree(session, ignore_errors=True)
    else:
        _helper.run("fmrw.rendering", "seal", session)
    close()
