"""Report helper: the process that makes report files, and seals a session whose owner is gone.

`makers` gives the worker a function per suffix. It hands the work to a helper process — spawned, never forked, kept warm, with
nothing on its standard input — since rendering in the serving process stalls watched reads and since vl-convert can abort
the process it runs in. What the helper does stands in `fmrw.session.rendering`, which this process never imports. The helper follows the journal by itself, so that a report costs what is new, and answers
with a file in the session's folder that is unlinked at once. A helper that died is replaced, one that grew is too.

Question and answer are a line of JSON each: whatever a helper fails with, the serving process imports nothing to understand it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import importlib
import json
import os
import select
import shutil
import subprocess
import sys
import threading
import traceback
from typing import IO, TYPE_CHECKING, Any

from fmrw import errors
from fmrw.capture.system.proc import descriptor_of, resident
from fmrw.errors import FmrwError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LARGEST = 600 << 20  # bytes a helper may hold after a report
_NICE = 5  # a watched read waits less for its turn, and a report still gets a quarter of a busy processor
_END_S = 5
_PIECE = 1 << 16  # what a pipe holds
SUFFIXES = {b".csv": "csv", b"-heatmap.pdf": "pdf"}
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from fmrw.capture.reports.helper import help_out; help_out(int(sys.argv[1]))"


class Helper:
    """One helper process, started at the first question."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = 0

    def begin(self, module: str, function: str, *arguments: Any) -> int:  # noqa: ANN401 - JSON
        """Start the helper with a function for whose end nobody waits; give the helper's id.

        What the function gives or fails with is passed over.

        Raises
        ------
        OSError
            There is no process to be had.
        """
        with self._lock:
            if self._process is None:
                self._process = _start()
            questions, _answers = _pipes(self._process)
            try:
                questions.write(_question(module, function, *arguments))
                questions.flush()
            except BrokenPipeError:  # what it answered before it died answers no later question
                self._end()
                raise
            self._unread += 1
            return self._process.pid

    def run(self, module: str, function: str, *arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """Run a function, named so that only the helper imports it; once more in a new helper if that one died.

        Raises
        ------
        OSError, FmrwError, RuntimeError
            As the function did; a RuntimeError for all else, with the helper's traceback for its text.
        EOFError, BrokenPipeError
            The second helper died, too.
        """
        question = _question(module, function, *arguments)
        with self._lock:
            return self._answered(lambda: self._ask(question), question)

    def finish(self, module: str, function: str, *arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """Give what the function gave that was begun last; as `run`, if the helper died or it was never begun.

        Raises
        ------
        OSError, FmrwError, RuntimeError, EOFError, BrokenPipeError
            As `run`.
        """
        with self._lock:
            return self._answered(self._last, _question(module, function, *arguments))

    def _answered(self, take: Callable[[], dict[str, Any]], question: bytes) -> Any:  # noqa: ANN401 - JSON
        """Take an answer, once more in a new helper if this one died; give what it says, or raise it."""
        try:
            answer = take()
        except (EOFError, BrokenPipeError):
            self._end()
            answer = self._ask(question)
        if answer["resident"] > _LARGEST:
            self._end()
        if "refused" in answer:
            raise getattr(errors, answer["refused"], FmrwError)(answer["error"])
        if "errno" in answer:
            raise OSError(answer["errno"], answer["error"])
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]

    def _ask(self, question: bytes) -> dict[str, Any]:
        if self._process is None:
            self._process = _start()
        questions, _answers = _pipes(self._process)
        questions.write(question)
        questions.flush()
        self._unread += 1
        return self._last()

    def _last(self) -> dict[str, Any]:
        """Give the answer to the last question, and pass over those before."""
        if self._process is None or not self._unread:
            raise EOFError("nothing was begun")
        line = b""
        while self._unread:
            line = _pipes(self._process)[1].readline()
            self._unread -= 1
        if not line.endswith(b"\n"):
            raise EOFError("the helper ended; its last words are in worker.log")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _end(self) -> None:
        """End the helper by the end of its questions."""
        process, self._process = self._process, None
        self._unread = 0
        if process is None:
            return
        for pipe in _pipes(process):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the helper, once it has answered."""
        with self._lock:
            self._end()

    def kill(self) -> None:
        """End the helper at once, whatever it does; for its only user, even in the middle of a question."""
        if self._process is not None:
            self._process.kill()
            self._end()


def _question(module: str, function: str, *arguments: Any) -> bytes:  # noqa: ANN401 - JSON
    return json.dumps([module, function, *arguments]).encode() + b"\n"


def _start() -> subprocess.Popen[bytes]:
    """Start a helper, which stands in no directory, shares no terminal's signals, and finds modules where this process does."""
    path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - texts
    return subprocess.Popen(
        [sys.executable, "-P", "-u", "-c", _PROGRAM, str(os.getpid()), *path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", start_new_session=True, env={**_ONE_THREAD, **os.environ},
    )  # fmt: skip


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise EOFError("the helper has no pipes; report this as a defect")
    return process.stdin, process.stdout


def help_out(parent: int) -> None:
    """Answer the questions that come on standard input: the helper's main function.

    It steps back behind watched programs, and ends with its parent, even in the middle of an answer.
    """
    questions, answers = _Questions(os.dup(0)), os.fdopen(os.dup(1), "wb")
    _asked.append(questions)
    os.dup2(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0)  # vl-convert fails without one
    os.dup2(2, 1)
    os.nice(_NICE)
    import_quickly(*_WIDGETS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    for question in questions:
        answer = {**_answer(*json.loads(question)), "resident": resident()}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


class _Questions:
    """Lines that come on a descriptor, in pieces as large as they come: an unbuffered file takes 0.6 µs for each byte, of which a chart has 140,000."""

    def __init__(self, fd: int) -> None:
        self._fd, self._rest = fd, b""

    @property
    def wait(self) -> bool:
        """Whether one has come, at least in part, that was not given yet."""
        return bool(self._rest or select.select([self._fd], [], [], 0)[0])

    def __iter__(self) -> Iterator[bytes]:
        """Give one after the other, until no more can come."""
        while True:
            while b"\n" not in self._rest:
                piece = os.read(self._fd, _PIECE)
                if not piece:
                    return
                self._rest += piece
            line, _end, self._rest = self._rest.partition(b"\n")
            yield line


_asked: list[_Questions] = []


def is_waited_for() -> bool:
    """Tell, in a helper, whether a question waits already, so that what would only save time later is left out."""
    return any(questions.wait for questions in _asked)


def _answer(module: str, function: str, *arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Call a function by name; give what it gave, or how it failed."""
    try:
        return {"answer": getattr(importlib.import_module(module), function)(*arguments)}
    except FmrwError as error:
        return {"refused": type(error).__name__, "error": str(error)}
    except OSError as error:
        return {"errno": error.errno or errno.EIO, "error": str(error.strerror or error)}
    except Exception:  # noqa: BLE001 - told to who asked
        return {"error": traceback.format_exc()}


def _end_with(parent: int) -> None:
    """End this process when its parent has ended; the end of its questions alone would wait for the answer to the last."""
    try:
        fd = os.pidfd_open(parent)
        if os.getppid() == parent:
            select.select([fd], [], [])
    except ProcessLookupError:
        pass  # it has ended already
    except OSError:  # no pidfd (Linux before 5.3), no descriptor: the end of its questions ends this process, after the last answer
        return
    os._exit(1)


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


_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Let a process of ours import numpy without the threads of its OpenBLAS, for as long as no program of the user's is started from here.

    Each thread spins for 40 ms before it sleeps, beside whatever needs the processor, and nothing here multiplies matrices of floats.
    """
    ours = _ONE_THREAD.keys() - os.environ.keys()
    os.environ.update({name: _ONE_THREAD[name] for name in ours})
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import without the garbage collector, which finds nothing in new modules and takes a fifth of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


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
    name = _helper.run("fmrw.session.rendering", "render", descriptor_of(os.getpid(), session), path, kind)
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
        _helper.run("fmrw.session.rendering", "seal", session)
    close()
