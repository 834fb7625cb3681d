"""RF64 and BW64 (EBU Tech 3306, ITU-R BS.2088), as `ffmpeg` writes them and by hand."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from found import Found


def chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize("samples", [b"\1\0" * 50, b"\1\0\1"], ids=["even", "odd"])
def test_long_sizes_stand_in_ds64(magic: bytes, samples: bytes, look: Callable[..., Found]) -> None:
    table = struct.pack("<4sQ", b"long", 6)
    tail = chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"hi\0"))

    def form(size: int) -> bytes:
        ds64 = chunk(b"ds64", struct.pack("<3QI", size, len(samples), 50, 1) + table)
        data = b"data\xff\xff\xff\xff" + samples + b"\0" * (len(samples) % 2)
        return b"WAVE" + ds64 + chunk(b"fmt ", bytes(16)) + data + b"long\xff\xff\xff\xff123456" + tail

    content = magic + b"\xff" * 4 + form(len(form(0)))
    found = look(content + b"JUNK behind the form")
    assert found.span(f"{magic.decode()} WAVE") == (0, len(content))
    assert found.bytes_of("chunk data") == b"data\xff\xff\xff\xff" + samples
    assert found.bytes_of("chunk long").endswith(b"123456")
    assert found.bytes_of("LIST INFO") == tail
    assert found.formats == ["RIFF"]


@pytest.mark.parametrize("options", [[], ["-rf64", "always"]], ids=["RIFF", "RF64"])
def test_files_of_ffmpeg(
    options: list[str], tmp_path: Path, look: Callable[..., Found], tool: Callable[..., str]
) -> None:
    tool("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=0.1", *options, "-y", "tone.wav")
    found = look(tmp_path / "tone.wav")
    start, end = found.span("chunk data")
    said = json.loads(tool("ffprobe", "-v", "error", "-show_packets", "-of", "json", "tone.wav"))["packets"]
    assert min(int(packet["pos"]) for packet in said) == start + 8
    assert max(int(packet["pos"]) + int(packet["size"]) for packet in said) == end
    assert found.formats == ["RIFF"]


def test_a_list_that_is_longer_than_its_form_ends_with_it(look: Callable[..., Found]) -> None:
    """What lies behind the form is a form of its own, and not in the list."""
    listed = b"LIST" + struct.pack("<I", 4000) + b"INFO" + chunk(b"ICMT", b"hi")
    first = b"RIFF" + struct.pack("<I", 4 + len(listed)) + b"AVI " + listed
    second = b"RIFF" + struct.pack("<I", 4 + 8) + b"AVIX" + chunk(b"JUNK", b"")
    found = look(first + second)
    assert found.named("RIFF", 1) == {
        "RIFF AVI ": [(0, len(first))],
        "RIFF AVIX": [(len(first), len(first + second))],
    }
    assert found.named("chunk", 3) == {"chunk ICMT": [(len(first) - 10, len(first))]}
    assert found.named("chunk", 2) == {"chunk JUNK": [(len(first) + 12, len(first + second))]}


def test_a_cut_form_is_said_to_be_damaged(look: Callable[..., Found]) -> None:
    content = b"RIFF" + struct.pack("<I", 4000) + b"WAVE" + chunk(b"data", bytes(4000))
    assert "damaged" in look(content[:1000]).formats[0]
