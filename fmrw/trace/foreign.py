"""Foreign files: how files of other formats are opened, and the warning that one was cut short."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fmrw.errors import BadInput
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader


class DamagedWarning(UserWarning):
    """A file was cut short, or does not say all; everything that could be read was loaded."""


@contextmanager
def opened(path: str | os.PathLike[str], what: str) -> Iterator[BufferedReader]:
    """Open a regular file for reading; a named pipe, which could wait for ever, is refused.

    Raises
    ------
    BadInput
        It cannot be opened or read, or is no regular file.
    """
    shown = visible(os.fspath(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BadInput(f"{shown} is not a regular file; give {what}.")
        with os.fdopen(descriptor, "rb") as stream:
            yield stream
    except OSError as error:
        raise BadInput(f"{shown}: {error.strerror}; give {what} that you may read.") from error
