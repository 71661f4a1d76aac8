"""WebP files read by libwebp itself give the pictures that Pillow gives."""

import io
from typing import Any

import pytest
from PIL import Image

from layers.media.webp_file import StillWebP
from tests import pictures


def _file(mode: str = "RGB", width: int = 301, height: int = 203, **options: Any) -> bytes:
    return pictures.saved(pictures.quarters(width, height).convert(mode), "WEBP", **options)


def _half_transparent(**options: Any) -> bytes:
    picture = pictures.quarters(301, 203)
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return pictures.saved(picture, "WEBP", **options)


@pytest.mark.parametrize(
    "data",
    [
        _file(),
        _file(lossless=True),
        _file(width=1, height=1),
        _half_transparent(),
        _half_transparent(lossless=True),
        _file(icc_profile=b"profile", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    ],
    ids=["lossy", "lossless", "one pixel", "lossy with alpha", "lossless with alpha", "metadata"],
)
def test_pixels_and_metadata_are_those_of_pillow(data: bytes) -> None:
    with StillWebP(io.BytesIO(data)) as ours, Image.open(io.BytesIO(data)) as pillows:
        assert (ours.mode, ours.size) == (pillows.mode, pillows.size)
        assert ours.tobytes() == pillows.tobytes()
        for key in ("icc_profile", "exif"):
            assert ours.info.get(key) == pillows.info.get(key)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_draft_is_at_least_twice_as_large_as_wanted(mode: str) -> None:
    with StillWebP(io.BytesIO(_file(mode, 3001, 2003))) as picture:
        picture.draft(None, (300, 200))
        picture.load()

        assert picture.size == (601, 401)
        corners = [(5, 5), (595, 5), (5, 395), (595, 395)]
        seen = [picture.convert("RGB").getpixel(corner) for corner in corners]
    for found, wanted in zip(seen, pictures.QUARTERS, strict=True):
        assert isinstance(found, tuple)
        assert max(abs(one - other) for one, other in zip(found, wanted, strict=True)) < 8


def test_a_small_picture_is_not_reduced() -> None:
    with StillWebP(io.BytesIO(_file())) as picture:
        picture.draft(None, (160, 120))
        picture.load()

        assert picture.size == (301, 203)


def test_an_animation_is_left_to_pillow() -> None:
    with pytest.raises(SyntaxError, match="animation"):
        StillWebP(io.BytesIO(pictures.animated("webp")))


@pytest.mark.parametrize("length", [0, 4, 12, 16, 20])
def test_a_file_that_ends_in_its_header_is_not_read(length: int) -> None:
    with pytest.raises(SyntaxError):
        StillWebP(io.BytesIO(_file()[:length]))


def test_a_file_that_ends_in_its_pixels_is_an_error() -> None:
    whole = _file()
    with StillWebP(io.BytesIO(whole[: len(whole) // 2])) as picture, pytest.raises(OSError, match="libwebp"):
        picture.load()
