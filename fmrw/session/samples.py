"""Samples: small files to look at, which come with fmrw."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from fmrw.errors import SessionError

SAMPLE = "polyglot.pdf"
"""A PDF that is a ZIP, too."""


def samples() -> Path:
    """Give the folder of samples (`data/README.md` says what they are): in an installed package, or beside a checkout's.

    Raises
    ------
    SessionError
        They are missing from this installation.
    """
    package = Path(str(importlib.resources.files("fmrw")))
    for folder in (package / "_data", package.parent / "data"):
        if (folder / SAMPLE).exists():
            return folder
    raise SessionError(
        "the samples are missing from this installation; `pip install --force-reinstall fmrw`."
    )
