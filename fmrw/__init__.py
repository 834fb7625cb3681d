"""Which bytes of a file does that program really read and write: a mount answers.

The names below are the public promise. They are imported when first used, since polars and altair take a second and the
worker process needs neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fmrw.trace.version import VERSION

if TYPE_CHECKING:
    from fmrw.errors import FmrwError as FmrwError
    from fmrw.experiments.probe import probe as probe
    from fmrw.experiments.reduce import reduce as reduce
    from fmrw.experiments.runs import Runs as Runs
    from fmrw.experiments.survey.driver import survey as survey
    from fmrw.experiments.survey.results import Survey as Survey
    from fmrw.experiments.versus import probe_both as probe_both
    from fmrw.figures.theme import preset as preset
    from fmrw.formats.perfetto import export_perfetto as export_perfetto
    from fmrw.recording.doctor import doctor as doctor
    from fmrw.recording.mount import mount as mount
    from fmrw.recording.mounted import Mount as Mount
    from fmrw.recording.mounts import status as status
    from fmrw.recording.mounts import unmount as unmount
    from fmrw.recording.run import Run as Run
    from fmrw.recording.run import run as run
    from fmrw.recording.sessions import sessions as sessions
    from fmrw.session.loading import load as load
    from fmrw.session.samples import samples as samples
    from fmrw.session.trace import Trace as Trace
    from fmrw.session.verbs import browse as browse
    from fmrw.session.verbs import coverage as coverage
    from fmrw.session.verbs import diff as diff
    from fmrw.session.verbs import explore as explore
    from fmrw.session.verbs import files as files
    from fmrw.session.verbs import gaps as gaps
    from fmrw.session.verbs import report as report
    from fmrw.session.verbs import sites as sites
    from fmrw.session.verbs import view as view

__version__ = VERSION

_HOMES = {
    "FmrwError": "fmrw.errors",
    "Mount": "fmrw.recording.mounted",
    "Run": "fmrw.recording.run",
    "Runs": "fmrw.experiments.runs",
    "Survey": "fmrw.experiments.survey.results",
    "Trace": "fmrw.session.trace",
    "browse": "fmrw.session.verbs",
    "coverage": "fmrw.session.verbs",
    "diff": "fmrw.session.verbs",
    "doctor": "fmrw.recording.doctor",
    "explore": "fmrw.session.verbs",
    "export_perfetto": "fmrw.formats.perfetto",
    "files": "fmrw.session.verbs",
    "gaps": "fmrw.session.verbs",
    "load": "fmrw.session.loading",
    "mount": "fmrw.recording.mount",
    "preset": "fmrw.figures.theme",
    "probe": "fmrw.experiments.probe",
    "probe_both": "fmrw.experiments.versus",
    "reduce": "fmrw.experiments.reduce",
    "report": "fmrw.session.verbs",
    "run": "fmrw.recording.run",
    "samples": "fmrw.session.samples",
    "sessions": "fmrw.recording.sessions",
    "sites": "fmrw.session.verbs",
    "status": "fmrw.recording.mounts",
    "survey": "fmrw.experiments.survey.driver",
    "unmount": "fmrw.recording.mounts",
    "view": "fmrw.session.verbs",
}

__all__ = sorted([*_HOMES, "__version__"])  # noqa: PLE0605 - computed, so that it cannot go stale


def load_ipython_extension(ipython: Any) -> None:  # noqa: ANN401 - an InteractiveShell
    """Register the magics: `%load_ext fmrw`."""
    importlib.import_module("fmrw.magics.register").register(ipython)


def unload_ipython_extension(ipython: Any) -> None:  # noqa: ANN401 - an InteractiveShell
    """Take the magics back and unmount what this kernel has mounted."""
    importlib.import_module("fmrw.magics.register").unregister(ipython)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name not in _HOMES:
        raise AttributeError(f"module 'fmrw' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
