"""Pool: processes of this machine that run parts; an executor like those of `concurrent.futures`.

Not a `ProcessPoolExecutor`: that one imports the user's `__main__` again in each process, which a script has to be written for, and gives up all its work when one
of its processes is killed. Here a process is started like any program; when it is killed, its part fails with `WorkerLost` and the next one gets a new process.
Processes end with the one that started them, by whatever way.

Run as `python -m fmrw.experiments.survey.pool`, it is such a process: it takes pickled calls from its standard input, and answers on its
standard output.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import select
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, ParamSpec, TypeVar

from fmrw.errors import FmrwError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")
_TOLD, _GAVE, _RAISED = range(3)
_TELL_S = 0.2


class WorkerLost(FmrwError):
    """A process that ran a part was killed."""


class LocalPool(Executor):
    """Call functions in processes of this machine.

    Parameters
    ----------
    jobs : int
        Processes.
    told : callable, optional
        Gets what functions that take `tell` have told, with the function's arguments.
    """

    def __init__(self, jobs: int, told: Callable[[tuple[Any, ...], Any], None] | None = None) -> None:
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="fmrw-survey")
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers = [_Worker(told) for _ in range(jobs)]
        for worker in self._workers:
            self._idle.put(worker)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function, which pickle must know by name, in a process that is idle."""
        return self._threads.submit(self._call, fn, args, kwargs)

    def _call(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        worker = self._idle.get()
        try:
            return worker.call(fn, args, kwargs)
        finally:
            self._idle.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as Executor has it
        """End the processes; with `cancel_futures` in the middle of what they do."""
        if cancel_futures:
            self._threads.shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.stop()
        self._threads.shutdown(wait=wait)
        for worker in self._workers:
            worker.stop()


class _Worker:
    """A process, started when it is first needed."""

    def __init__(self, told: Callable[[tuple[Any, ...], Any], None] | None) -> None:
        self._told = told
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def call(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        process = self._started()
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise WorkerLost("a process of the survey has no pipes; report this as a defect.")
        try:
            pickle.dump((fn, args, kwargs), stdin)
            stdin.flush()
            while True:
                kind, value = pickle.load(stdout)  # noqa: S301 - from our own process
                if kind == _GAVE:
                    return value  # type: ignore[no-any-return]  # as the function has it
                if kind == _RAISED:
                    raise value
                if self._told is not None:
                    self._told(args, value)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            self._end()
            raise WorkerLost("a process of the survey was killed; is there enough memory?") from error

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise WorkerLost("the survey was stopped; start it again to go on.")
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "fmrw.experiments.survey.pool"],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                )  # fmt: skip
            return self._process

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    _close(pipe)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            process = self._process
        if process is not None:
            process.kill()  # a thread that waits for its answer closes the pipes
            process.wait()
        self._end()


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # something was not sent
        pipe.close()


# In the process


def _serve(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    last = 0.0

    def answer(kind: int, value: object) -> None:
        pickle.dump((kind, value), stdout)
        stdout.flush()

    def tell(value: object) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _TELL_S:
            last = now
            answer(_TOLD, value)

    while True:
        try:
            fn, args, kwargs = pickle.load(stdin)  # noqa: S301 - from our own driver
        except EOFError:
            return
        try:
            value = fn(*args, **kwargs, tell=tell) if kwargs.pop("telling", False) else fn(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - it is raised again where the result is asked for
            answer(_RAISED, error)
        else:
            answer(_GAVE, value)


def _end_with(parent: int) -> None:
    select.select([parent], [], [])
    os._exit(1)


def main() -> None:
    """Run the process."""
    parent = os.pidfd_open(os.getppid())
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints is no answer
    _serve(sys.stdin.buffer, stdout)
    os._exit(0)


if __name__ == "__main__":
    main()
