"""Cluster: the workers of a Dask scheduler as an executor; those that can mount, and see the survey, say so by a resource.

A plugin looks at each worker when it joins, also at one that a nanny has started anew, and gives it the resource `fmrw` for each of its threads. Parts ask for one, so
a worker without FUSE never gets any. What was lost with a worker the scheduler gives to another, which goes on from the spool.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmrw.errors import BadInput, FmrwError, MountError, SessionError
from fmrw.experiments.runs import Runs
from fmrw.experiments.survey.parsers import located
from fmrw.experiments.survey.part import release
from fmrw.experiments.survey.plan import Folder
from fmrw.text import visible

try:
    from distributed import Client, WorkerPlugin
except ImportError:
    raise BadInput("a scheduler needs Dask; `pip install 'fmrw[cluster]'`.") from None

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

RESOURCE = "fmrw"
_CONNECT_S = 30
_RETRIES = 3


class Fitness(WorkerPlugin):  # type: ignore[misc]  # without types
    """Look at a worker, and say by a resource how many parts it can run at a time.

    Parameters
    ----------
    out : str
        The survey's folder.
    """

    def __init__(self, out: str) -> None:
        self.name = f"fmrw-{out}"
        self._out = out
        self.why = ""

    async def setup(self, worker: Any) -> None:  # noqa: ANN401 - distributed's Worker
        """Look, and say what is lacking in the worker's log."""
        self.why = await asyncio.to_thread(lacking, self._out)
        if self.why:
            logging.getLogger("distributed.worker").warning(
                "fmrw: takes no part in %s: %s", self._out, self.why
            )
        await worker.set_resources(**{RESOURCE: 0 if self.why else worker.state.nthreads})

    async def teardown(self, worker: Any) -> None:  # noqa: ANN401 - as above
        """End the worker's mounts."""
        await worker.set_resources(**{RESOURCE: 0})
        await asyncio.to_thread(release, self._out)


def lacking(out: str) -> str:
    """Say why this machine can run no parts of a survey; "" where it can."""
    try:
        plan = Folder(out).plan()
        if not Path(plan.corpus).is_dir():
            return f"it does not see the corpus, {visible(plan.corpus)}"
        for name, words in plan.parsers.items():
            located(name, words[0])
        with Runs(plan.corpus, slots=1, grain=plan.grain, folder="/", writable=False):
            return ""
    except (FmrwError, OSError) as error:
        return visible(str(error))


@contextlib.contextmanager
def dask_executor(address: str, out: str, notes: list[str]) -> Iterator[Executor]:
    """Give the workers of a scheduler as an executor; workers may come and go meanwhile.

    Parameters
    ----------
    address : str
    out : str
        The survey's folder, which workers see under the same path.
    notes : list of str
        Gets a line for each worker that takes no part.

    Raises
    ------
    SessionError
        The scheduler does not answer.
    MountError
        It has workers, and none can run parts.
    """
    try:
        client: Any = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise SessionError(
            f"the scheduler {visible(address)} does not answer ({visible(str(error))}); is `dask scheduler` running there?"
        ) from None
    plugin = Fitness(out)
    with client:
        client.register_plugin(plugin)
        try:
            _tell(client, plugin.name, address, notes)
            yield client.get_executor(resources={RESOURCE: 1}, retries=_RETRIES, pure=False)
        finally:
            client.unregister_worker_plugin(plugin.name)


def _tell(client: Any, name: str, address: str, notes: list[str]) -> None:  # noqa: ANN401 - has no types
    found: dict[str, str] = client.run(_why, name)
    unfit = {worker: why for worker, why in found.items() if why}
    notes += [f"{visible(worker)} takes no part: {visible(why)}" for worker, why in unfit.items()]
    if unfit and len(unfit) == len(found):
        worker, why = next(iter(unfit.items()))
        raise MountError(f"no worker of {visible(address)} can take part; {visible(worker)}: {visible(why)}")


def _why(name: str, dask_worker: Any) -> str:  # noqa: ANN401 - distributed's Worker
    return str(dask_worker.plugins[name].why) if name in dask_worker.plugins else "it has not looked yet"
