"""Pictures against `exiv2` and Pillow: JPEG, GIF, BMP."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from found import Found


@pytest.fixture
def picture() -> Image.Image:
    return Image.effect_noise((120, 80), 40).convert("RGB")


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", "comment": b"words"}],
    ids=["baseline", "progressive", "restarts", "Exif"],
)  # fmt: skip
def test_jpeg_segments_are_those_of_exiv2(
    options: dict[str, object],
    picture: Image.Image,
    tmp_path: Path,
    look: Callable[..., Found],
    tool: Callable[..., str],
) -> None:
    picture.save(tmp_path / "p.jpg", **options)
    found = look(tmp_path / "p.jpg")
    said = re.findall(
        r"^ +(\d+) \| 0xff.. (\w+) +\|? *(\d*)", tool("exiv2", "-pS", "p.jpg", check=False), re.MULTILINE
    )
    ours = {
        start: (name.split()[0], end) for name, where in found.named("", 1).items() for start, end in where
    }
    assert len(said) >= 6
    for at, name, length in said:  # it stops at the first scan
        assert ours[int(at)] == (name, int(at) + 2 + int(length or ours[int(at)][1] - int(at) - 2))
    places = sorted((start, end) for start, (_, end) in ours.items())
    assert [end for _, end in places] == [*(start for start, _ in places[1:]), len(found.content)]
    assert found.bytes_of("EOI") == b"\xff\xd9"
    assert found.formats == ["JPEG"]


def test_coded_data_ends_at_a_marker_that_is_none_of_its_own(look: Callable[..., Found]) -> None:
    scan = b"\xff\xda\0\x02" + b"ab\xff\0c\xff\xd0d\xff\xff"
    found = look(b"\xff\xd8\xff\xfe\0\x04hi" + scan + b"\xff\xd9behind")
    assert found.bytes_of("coded data") == b"ab\xff\0c\xff\xd0d\xff\xff"
    assert found.frame["end"].max() == len(found.content) - 6
    assert "does not end" in look(b"\xff\xd8" + scan[:-2] * 2).formats[0]


@pytest.mark.parametrize("before", [-3, -2, -1, 0, 1])
def test_a_marker_may_lie_across_what_is_read_at_once(before: int, look: Callable[..., Found]) -> None:
    coded = b"a" * ((1 << 20) + before)
    found = look(b"\xff\xd8\xff\xda\0\x02" + coded + b"\xff\xd9")
    assert found.bytes_of("coded data") == coded
    assert found.formats == ["JPEG"]


def test_gif_images_are_those_of_pillow(
    picture: Image.Image, tmp_path: Path, look: Callable[..., Found]
) -> None:
    frames = [picture.rotate(30 * n).quantize(16 << n) for n in range(3)]
    frames[0].save(
        tmp_path / "p.gif", save_all=True, append_images=frames[1:], comment=b"words", duration=[10, 20, 30]
    )
    found = look(tmp_path / "p.gif")
    with Image.open(tmp_path / "p.gif") as image:
        for number in range(image.n_frames):
            image.seek(number)
            _, _, offset, _ = image.tile[0]
            data = found.named("data")["data"][number]
            assert data[0] + 1 == offset  # Pillow counts from behind the size of the codes
            assert found.content[data[1] - 1] == 0
            assert found.span(f"image {number}")[1] == data[1]
    places = sorted(place for where in found.named("", 1).values() for place in where)
    assert [end for _, end in places] == [*(start for start, _ in places[1:]), len(found.content)]
    assert found.formats == ["GIF"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_pixels_of_a_bitmap_lie_where_pillow_reads_them(
    mode: str, picture: Image.Image, tmp_path: Path, look: Callable[..., Found]
) -> None:
    picture.convert(mode).save(tmp_path / "p.bmp")
    found = look(tmp_path / "p.bmp")
    with Image.open(tmp_path / "p.bmp") as image:
        _, _, offset, _ = image.tile[0]
    assert found.span("pixels") == (offset, len(found.content))
    assert found.formats == ["BMP"]


@pytest.mark.parametrize(
    ("length", "packed", "stated", "pixels"),
    [(40, 1, 10, 10), (40, 2, 10, 10), (40, 0, 10, 16), (40, 3, 10, 16), (40, 1, 0, 16), (16, 1, 10, 16), (52, 1, 10, 10), (12, 1, 10, 16)],
)  # fmt: skip
def test_only_packed_pixels_are_as_long_as_is_stated(
    length: int, packed: int, stated: int, pixels: int, look: Callable[..., Found]
) -> None:
    """Two rows of two pixels of 24 bits are 8 bytes each, filled up; OS/2's short headers state nothing."""
    sizes = struct.pack("<4H", 2, 2, 1, 24) if length == 12 else struct.pack("<2i2H", 2, -2, 1, 24)
    header = (struct.pack("<I", length) + sizes + struct.pack("<2I", packed, stated)).ljust(length, b"\0")[
        :length
    ]
    content = struct.pack("<2sI4xI", b"BM", 0, 14 + length) + header + bytes(30)
    assert look(content).span("pixels") == (14 + length, 14 + length + pixels)


def test_a_colour_profile_of_a_bitmap(look: Callable[..., Found]) -> None:
    header = struct.pack("<I2i2H6I", 124, 2, 2, 1, 24, 0, 16, 0, 0, 0, 0) + bytes(16)
    header += struct.pack("<I", 0x4D424544) + bytes(48) + struct.pack("<4I", 4, 124 + 16, 7, 0)
    assert len(header) == 124
    content = struct.pack("<2sI4xI", b"BM", 0, 138) + header + bytes(16) + b"profile"
    found = look(content)
    assert found.bytes_of("colour profile") == b"profile"
    assert found.span("pixels") == (138, 154)


def test_letters_that_look_like_a_bitmap(look: Callable[..., Found]) -> None:
    assert look(b"BMW cars are built in Munich and elsewhere.").formats == []
