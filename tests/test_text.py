from __future__ import annotations

import doctest
import os
import shlex
import sys
import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import fmrw.text
from fmrw.text import name_text, path_bytes, path_text, percent, typed, visible

HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of characters that are not to be seen as they are."""


@given(st.binary(max_size=40))
def test_file_names_come_back(name: bytes) -> None:
    assert path_bytes(path_text(name)) == name
    assert name_text(os.fsdecode(name)) == path_text(name)


@given(st.text(alphabet="\\x5cf0a", max_size=12))
def test_names_that_look_escaped_come_back(name: str) -> None:
    assert path_bytes(path_text(name.encode())) == name.encode()


@given(st.text(alphabet="\\x0\x1b\x9b\u202e\u2028\ufffe\u200da", max_size=12))
def test_names_that_act_come_back_and_do_not(name: str) -> None:
    shown = path_text(name.encode())
    assert path_bytes(shown) == name.encode()
    assert not set(shown) & set("\0\x1b\x9b\u202e\u2028\ufffe")
    assert shown.count("\u200d") == name.count(
        "\u200d"
    )  # a joiner: letters of several scripts and emoji need it


def test_undecodable_bytes_are_readable() -> None:
    assert path_text(b"caf\xe9") == "caf\\xe9"
    assert path_text("café".encode()) == "café"
    assert path_text(rb"\xff") == "\\x5cxff"


@given(st.text(max_size=40))
def test_visible_text_is_harmless(text: str) -> None:
    shown = visible(text)
    shown.encode()  # no lone surrogates
    assert all(c.isprintable() or c.isspace() for c in shown)
    assert not set(shown) & {"\x1b", "\n", "\x7f", "\u202e", "\ufffe"}


def test_characters_that_are_seen_stay_as_they_are() -> None:
    hidden = {code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in HIDDEN}
    assert {code for code in range(sys.maxunicode + 1) if visible(chr(code)) != chr(code)} == hidden


def test_bytes_that_are_no_text_are_shown_as_bytes() -> None:
    assert visible("g\udcff.gz \udc80 \ud800 \udc7f") == r"g\xff.gz \x80 \ud800 \udc7f"


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40))
def test_a_name_is_one_word_where_it_is_typed(name: str) -> None:
    assert shlex.split(f"fmrw unmount {typed(name)}") == ["fmrw", "unmount", name]


def test_a_name_that_is_typed_is_visible() -> None:
    assert typed(Path("/a b/\x1b[31m")) == r"'/a b/\x1b[31m'"
    assert typed(Path("/plain/name-1.bin")) == "/plain/name-1.bin"


def test_shares_are_all_and_nothing_only_where_they_are() -> None:
    shares = (0, 1e-9, 0.00049, 0.0005, 0.5, 0.99949, 0.9995, 1 - 1e-12, 1)
    said = ["0.0%", "< 0.1%", "< 0.1%", "0.1%", "50.0%", "99.9%", "> 99.9%", "> 99.9%", "100.0%"]
    assert [percent(share) for share in shares] == said
    assert percent(0.9999, " ") == "> 99.9 %"


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(fmrw.text).failed == 0
