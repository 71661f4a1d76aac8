"""What a picture's header says: type by content, size in pixels. Nothing is decoded and no driver is needed."""

import struct
from typing import Final, Literal

import msgspec

from layers.core.errors import ImageTooLarge, UnreadableImage, UnsupportedImage

type Format = Literal["jpeg", "png", "webp", "heic"]

JPEG_PIXELS: Final = 100_000_000
"""More for JPEG, which can be decoded at a fraction of its size."""
PIXELS: Final = 64_000_000

_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"})
_NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN: Final = 0xDA


class Header(msgspec.Struct, frozen=True):
    """Type and stored size of a picture, before any rotation that its metadata asks for."""

    format: Format
    width: int
    height: int

    @property
    def media_type(self) -> str:
        """For `Content-Type`."""
        return f"image/{self.format}"

    @property
    def extension(self) -> str:
        """As file names end."""
        return "jpg" if self.format == "jpeg" else self.format


def probe(data: bytes) -> Header:
    """Type and size of a picture.

    Raises `UnsupportedImage` for anything but JPEG, PNG, WebP and HEIC, `UnreadableImage` for one of these whose
    header is cut off or makes no sense, `ImageTooLarge` over 100 megapixels (JPEG) or 64 (the others).
    """
    format_ = _format(data)
    try:
        width, height = _SIZE_OF[format_](data)
    except (IndexError, struct.error, ValueError):
        raise UnreadableImage from None
    if not width or not height:
        raise UnreadableImage
    limit = JPEG_PIXELS if format_ == "jpeg" else PIXELS
    if width * height > limit:
        raise ImageTooLarge(f"{width} × {height} pixels are more than {limit // 1_000_000} megapixels")
    return Header(format_, width, height)


def _format(data: bytes) -> Format:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp" and _brands(data) & _HEIC_BRANDS and data[8:12] not in (b"avif", b"avis"):
        return "heic"
    raise UnsupportedImage


def _brands(data: bytes) -> set[bytes]:
    end = min(struct.unpack(">I", data[:4])[0], 128, len(data))
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if data[at] != 0xFF:  # noqa: PLR2004 (what every marker begins with)
            raise ValueError
        marker = data[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 (a fill byte)
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker == _START_OF_SCAN:
            raise ValueError
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:  # noqa: PLR2004 (start of frame)
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _webp_size(data: bytes) -> tuple[int, int]:
    match data[12:16]:
        case b"VP8 ":
            if data[23:26] != b"\x9d\x01\x2a":
                raise ValueError
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
            if len(data) < 30:  # noqa: PLR2004 (where the header ends)
                raise ValueError
            return width, height
        case _:
            raise ValueError


def _heic_size(data: bytes) -> tuple[int, int]:
    """The largest `ispe` (image spatial extents) property: grids have one for the whole and one for their tiles."""
    meta = data.find(b"meta")
    if meta < 0:
        raise ValueError
    (length,) = struct.unpack_from(">I", data, meta - 4)
    found, at, end = [], meta, min(meta + length, len(data))
    while (at := data.find(b"ispe", at + 4, end)) >= 0:
        found.append(struct.unpack_from(">II", data, at + 8))
    width, height = max(found, key=lambda size: size[0] * size[1])
    return width, height


_SIZE_OF: Final = {"jpeg": _jpeg_size, "png": _png_size, "webp": _webp_size, "heic": _heic_size}
