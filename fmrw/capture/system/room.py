"""Room for descriptors: how many of each kind may be kept open where a process may have few at all."""

from __future__ import annotations

import resource

_PLENTY = 1 << 14
"""Descriptors of which all that is kept at most is less than a quarter; what is left is for users' files."""
_LEAST = 4


def as_room_allows(most: int) -> int:
    """Give how many descriptors of a kind may be kept open: as many as are of use, or as their part of the limit allows (setrlimit(2)).

    Parameters
    ----------
    most : int
        How many are of use.
    """
    limit, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if limit < 0 else min(most, max(_LEAST, most * limit // _PLENTY))
