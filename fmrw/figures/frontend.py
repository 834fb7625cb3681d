"""Front end: which program shows what IPython displays."""

from __future__ import annotations


def in_terminal() -> bool:
    """Tell whether IPython runs, and in a terminal, which shows text only."""
    shell = _shell()
    return shell is not None and getattr(shell, "kernel", None) is None


def in_notebook() -> bool:
    """Tell whether a kernel runs, behind a notebook or a console that shows more than text."""
    shell = _shell()
    return shell is not None and getattr(shell, "kernel", None) is not None


def _shell() -> object:
    try:
        from IPython.core.getipython import get_ipython  # noqa: PLC0415 - may be missing
    except ImportError:
        return None
    return get_ipython()
