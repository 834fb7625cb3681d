"""Hex view (anywidget): scrolls through all bytes of the file, and asks the kernel for those in sight only.

The page sends questions (`ask`), each with a number; the answer carries it, so that one that comes late is not taken for another. A search runs in a
thread of its own, and ends when another begins.

Limits. Row numbers are exact up to 2⁵³, so files up to 2⁵⁷ bytes; offsets travel as text. A copy holds at most 1 MiB.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from fmrw.errors import BadInput, FmrwError
from fmrw.explorer import find
from fmrw.explorer.byterows import block, look
from fmrw.explorer.inspector import LONGEST, inspect
from fmrw.explorer.palette import PALETTES
from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmrw.explorer.view import View

MOST_COPIED = 1 << 20
_MOST_PARTS = 300  # offered at once
_HERE = Path(__file__).parent
_SCRIPTS = ("hex_rows.js", "hex_sight.js", "hex.js")  # one module
_COPIES: Mapping[str, Callable[[bytes], str]] = {
    "hex": lambda content: content.hex(" "),
    "text": lambda content: content.decode("utf-8", "replace"),
    "Python": repr,
}

Answer = tuple[dict[str, Any], list[bytes]]


class HexView(anywidget.AnyWidget):
    """The bytes of a view's file.

    Attributes
    ----------
    size, at : str
        Bytes in the file; the offset that was asked to be shown last.
    version : int
        Grows whenever bytes or colours may be others.
    look : dict
        Colours by number, and the legend.
    told : str
        What was found, copied, or is wrong.
    """

    _esm = "\n".join((_HERE / name).read_text() for name in _SCRIPTS)
    _css = _HERE / "hex.css"
    size = traitlets.Unicode("0").tag(sync=True)
    at = traitlets.Unicode("0").tag(sync=True)
    version = traitlets.Int(0).tag(sync=True)
    look = traitlets.Dict().tag(sync=True)
    told = traitlets.Unicode("").tag(sync=True)
    kinds = traitlets.List(traitlets.Unicode(), list(find.KINDS)).tag(sync=True)
    copies = traitlets.List(traitlets.Unicode(), list(_COPIES)).tag(sync=True)

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view
        self._search: threading.Thread | None = None
        self._number = 0
        self._state: tuple[object, int, str] | None = None
        self._asked: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
            "rows": self._rows,
            "inspect": self._inspect,
            "copy": self._copy,
            "parts": self._parts,
        }
        self.on_msg(lambda _, message, __: self.take(message))
        view.observe(lambda _: self._go(), "window")
        self.refresh()
        self._go()

    def refresh(self) -> None:
        """Show the bytes and their colours as they are now, unless they are what is shown."""
        now = (self._view.scene, self._view.recorded.version, self._view.recorded.file.reason())
        if now == self._state:
            return
        self._state = now
        with self.hold_sync():  # one message, and one question of the page
            self.size = str(self._view.recorded.size)
            self.look = look(self._view, PALETTES[self._view.theme])
            self.version += 1
            self._go()

    def _go(self) -> None:
        self.at = str(self._view.window[0])

    def take(self, message: object) -> None:
        """Answer a question of the page; what goes wrong is told below the bytes."""
        if not isinstance(message, dict):
            return
        try:
            if message.get("ask") == "find":
                self.find(str(message.get("text", "")), str(message.get("kind")), _offset(message, "from"), backwards=bool(message.get("back")))  # fmt: skip
            elif message.get("ask") == "show":
                self._view.window = (_offset(message, "start"), _offset(message, "end"))
            elif message.get("ask") in self._asked:
                answer, buffers = self._asked[message["ask"]](message)
                self.send({**answer, "ask": message["ask"], "number": message.get("number")}, buffers)
        except (FmrwError, ValueError, TypeError, OverflowError) as error:
            self.told = visible(str(error))

    def _rows(self, message: Mapping[str, Any]) -> Answer:
        found = block(self._view, _offset(message, "start"), _offset(message, "end"))
        said = f"No bytes to show: {found.reason}." if found.reason else ""
        parts = [[str(start - found.start), depth, name] for start, depth, name in found.parts]
        marks = [[str(start - found.start), str(end - found.start), name] for start, end, name in found.marks]
        return {"start": str(found.start), "parts": parts, "marks": marks, "reason": said}, [
            found.content,
            found.reads,
            found.writes,
        ]

    def _inspect(self, message: Mapping[str, Any]) -> Answer:
        at, end = _offset(message, "at"), max(_offset(message, "end"), _offset(message, "at") + 1)
        content, _ = self._view.recorded.file.content(at, at + LONGEST)
        return {
            "at": str(at),
            "values": [list(each) for each in inspect(content or b"")],
            "about": self._view.tell_range(at, end),
        }, []

    def _copy(self, message: Mapping[str, Any]) -> Answer:
        start, end, kind = _offset(message, "start"), _offset(message, "end"), str(message.get("as"))
        if end - start > MOST_COPIED:
            raise BadInput(f"{end - start:,} bytes are too many to copy: select {MOST_COPIED:,} or fewer")
        content, reason = self._view.recorded.file.content(start, end)
        if content is None:
            raise BadInput(f"nothing to copy: {reason}")
        self.told = f"copied {range_text(start, start + len(content))}, {len(content):,} bytes, as {kind}"
        return {"text": _COPIES[kind if kind in _COPIES else "hex"](content)}, []

    def _parts(self, message: Mapping[str, Any]) -> Answer:
        wanted = str(message.get("search", "")).lower()
        rows = self._view.recorded.file.parts(0, self._view.recorded.size).sort("start", "depth")
        named = [
            [str(start), str(end), depth, visible(name)]
            for start, end, depth, name in rows.select("start", "end", "depth", "name").iter_rows()
            if wanted in name.lower()
        ]
        return {"parts": named[:_MOST_PARTS], "more": max(len(named) - _MOST_PARTS, 0)}, []

    def find(self, text: str, kind: str, start: int, *, backwards: bool = False) -> None:
        """Look for bytes or a text from an offset on, in a thread; what is found is shown."""
        wanted = find.pattern(text, kind)
        self._number += 1
        number, view = self._number, self._view

        def search() -> None:
            try:
                place = find.find(
                    view.recorded.file,
                    wanted,
                    view.recorded.size,
                    start,
                    backwards=backwards,
                    ended=lambda: self._number != number,
                )
            except FmrwError as error:
                self.told = str(error)
                return
            if self._number == number:
                self._found(place, len(wanted), backwards=backwards)

        self.told = "searching…"
        self._search = threading.Thread(target=search, name="fmrw-find", daemon=True)
        self._search.start()

    def _found(self, place: int | None, length: int, *, backwards: bool) -> None:
        if place is None:
            self.told = f"not found {'before' if backwards else 'after'} here"
            return
        self.told = f"found at {place:#x}"
        self.send({"ask": "select", "start": str(place), "end": str(place + length)}, [])

    def close(self) -> None:
        """End a search, and take the widget away."""
        self._number += 1
        super().close()


def _offset(message: Mapping[str, Any], name: str) -> int:
    """Read an offset, which travels as text."""
    return max(int(message.get(name, 0)), 0)
