"""What the bytes of a range look like: one plain value that the examination of a gap fills in, and the verdict is said from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fmrw.analysis.signatures import Magic


class Content(NamedTuple):
    """What the bytes of a gap look like; `examined` of them were looked at."""

    examined: int
    entropy: float
    byte_class: str
    value: int | None
    head: bytes
    magics: list[Magic]
    complete: bool
    own: str | None
    """The format the file itself begins as, by its signature."""
