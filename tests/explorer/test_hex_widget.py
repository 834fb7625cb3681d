"""The hex view's side of the kernel: what the page asks, and what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from recordings import events

from fmrw.explorer.byterows import MOST
from fmrw.explorer.explorer import Explorer, explore
from fmrw.explorer.palette import ink_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from recordings import LiveTrace

    from fmrw.explorer.widgets.hex import HexView

CONTENT = bytes(number % 251 for number in range(1000))


class Asked:
    """A hex view, and what it sends."""

    def __init__(self, view: Explorer) -> None:
        self.view = view
        self.hex: HexView = view._shown().bytes
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        self.hex.send = lambda content, buffers=(): self.sent.append((content, list(buffers)))

    def ask(self, what: str, **more: object) -> tuple[dict[str, Any], list[bytes]]:
        self.hex.take({"ask": what, "number": 7, **more})
        return self.sent[-1]


@pytest.fixture
def asked(trace: Callable[..., LiveTrace], tmp_path: Path) -> Asked:
    (tmp_path / "sample.bin").write_bytes(CONTENT)
    made = trace(events(("read", 0, 100), ("read", 50, 300), ("write", 250, 260)))
    return Asked(explore(made, "sample.bin", annotations=[(10, 20, "mine")]))


def test_rows_are_the_bytes_with_the_colours_of_the_picture(asked: Asked) -> None:
    answer, (content, reads, writes) = asked.ask("rows", start="40", end="280")
    assert (answer["start"], answer["reason"], answer["number"]) == ("40", "", 7)
    assert content == CONTENT[40:280]
    times = np.zeros(1000, int)
    times[0:100] += 1
    times[50:300] += 1
    assert list(reads) == times[40:280].tolist()
    assert [at + 40 for at, each in enumerate(writes) if each] == list(range(250, 260))
    colours = asked.view.scene.canvas.colours
    keys = asked.view.scene.colouring.keys("read")
    assert [each[0] for each in asked.hex.look["read"]] == [colours[key] for key in keys]


def test_marks_and_ends(asked: Asked) -> None:
    assert asked.ask("rows", start="15", end="30")[0]["marks"] == [["-5", "5", "mine"]]
    assert asked.ask("rows", start="990", end="5000")[1][0] == CONTENT[990:]
    assert asked.ask("rows", start="2000", end="3000")[1][0] == b""


def test_never_more_than_is_in_sight(trace: Callable[..., LiveTrace], tmp_path: Path) -> None:
    with (tmp_path / "sample.bin").open("wb") as file:
        file.truncate(1 << 40)
    asked = Asked(explore(trace(events(("read", 0, 100), size=1 << 40)), "sample.bin"))
    answer, buffers = asked.ask("rows", start=str(1 << 39), end=str(1 << 40))
    assert [len(each) for each in buffers] == [MOST] * 3
    assert answer["start"] == str(1 << 39)


def test_colours_follow_the_view(asked: Asked) -> None:
    before = asked.hex.version
    asked.view.colour = "program"
    assert asked.hex.version > before
    assert [label for _, label in asked.hex.look["legend"]] == ["touched by", "parser", "not accessed"]
    assert set(asked.ask("rows", start="0", end="400")[1][1]) == {0, 1}


def test_the_window_is_followed_and_the_selection_shown(asked: Asked) -> None:
    asked.view.window = (300, 400)
    assert asked.hex.at == "300"
    asked.hex.take({"ask": "show", "start": "5", "end": "9"})
    assert asked.view.window == (5, 9)


def test_a_copy_in_every_way(asked: Asked) -> None:
    assert asked.ask("copy", start="65", end="68", **{"as": "hex"})[0]["text"] == "41 42 43"
    assert asked.ask("copy", start="65", end="68", **{"as": "text"})[0]["text"] == "ABC"
    assert asked.ask("copy", start="65", end="68", **{"as": "Python"})[0]["text"] == "b'ABC'"
    asked.hex.take({"ask": "copy", "start": "0", "end": str(1 << 30), "as": "hex"})
    assert "too many" in asked.hex.told


def test_what_is_looked_for_is_selected_or_said_to_be_nowhere(asked: Asked) -> None:
    asked.hex.take({"ask": "find", "text": "41 42", "kind": "bytes", "from": "0"})
    asked.hex._search.join()
    assert asked.sent[-1][0] == {"ask": "select", "start": "65", "end": "67"}
    asked.hex.take({"ask": "find", "text": "AB", "kind": "text", "from": "66", "back": False})
    asked.hex._search.join()
    assert asked.sent[-1][0]["start"] == str(251 + 65)
    asked.hex.take({"ask": "find", "text": "nowhere", "kind": "text", "from": "0"})
    asked.hex._search.join()
    assert asked.hex.told == "not found after here"
    asked.hex.take({"ask": "find", "text": "xyz", "kind": "bytes", "from": "0"})
    assert "pairs of hexadecimal digits" in asked.hex.told


def test_what_stands_at_an_offset(asked: Asked) -> None:
    answer, _ = asked.ask("inspect", at="65", end="66")
    assert ["uint16", "16,961", "16,706"] in answer["values"]
    assert "2 reads" in answer["about"]


@pytest.mark.parametrize(
    "message",
    [
        None,
        5,
        {},
        {"ask": "?"},
        {"ask": "rows"},
        {"ask": "rows", "start": "x"},
        {"ask": "rows", "start": None},
    ],
)
def test_messages_that_are_no_questions_change_nothing(asked: Asked, message: object) -> None:
    asked.hex.take(message)
    assert asked.view.window == (0, 1000)


def test_a_file_that_is_gone(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "sample.bin").unlink()
    assert "not at hand" in asked.ask("rows", start="0", end="16")[0]["reason"]


def test_letters_can_be_read_on_every_colour() -> None:
    assert (ink_on("#ffffff"), ink_on("#000000"), ink_on("#0a2f55"), ink_on("#a5cdea")) == (
        "#000000",
        "#ffffff",
        "#ffffff",
        "#000000",
    )


def test_a_step_is_one_message(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page asks for rows once for each."""
    sent: list[set[str]] = []
    assert asked.view.settle()  # the format is found in a thread, which shows it
    monkeypatch.setattr(asked.hex, "send_state", lambda key=None: sent.append(set(key or ())))
    asked.view.window = (0x40, 0x80)
    assert [each & {"version", "at"} for each in sent] == [{"version", "at"}]
