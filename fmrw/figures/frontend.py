"""Front end: which program shows what IPython displays."""

from __future__ import annotations


def in_terminal() -> bool:
    """Tell whether IPython runs, and in a terminal, which shows text only."""
    try:
        from IPython.core.getipython import get_ipython  # noqa: PLC0415 - may be missing
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is None
