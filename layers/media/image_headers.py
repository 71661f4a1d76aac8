"""What a picture says of itself in its header: its type, by content alone, and its size. No pixel is decoded."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from layers.core import limits
from layers.core.errors import ImageTooLarge, UnreadableImage, UnsupportedImage

type Format = Literal["jpeg", "png", "webp", "heic"]


class Header(msgspec.Struct, frozen=True):
    """Type and size of a picture, in pixels as they are stored, before any turn that its metadata asks for."""

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
    """The header of a JPEG, PNG, WebP or HEIC picture; the first frame's, if it moves.

    Raises `UnsupportedImage` for any other content, `UnreadableImage` for one of these whose header is cut off or
    damaged, and `ImageTooLarge` over the pixel limit. Takes little time and memory, whatever the header claims.
    """
    format_ = _format_of(data)
    try:
        width, height = _SIZES[format_](data)
    except struct.error:
        raise _damaged() from None
    if not width or not height:
        raise _damaged()
    if max(width, height) > limits.PICTURE_SIDE:
        raise ImageTooLarge(f"{width} × {height} pixels: no side may have more than {limits.PICTURE_SIDE}.")
    most = limits.JPEG_PIXELS if format_ == "jpeg" else limits.PIXELS
    if width * height > most:
        raise ImageTooLarge(f"{width} × {height} pixels are over the limit of {most // 1_000_000} megapixels.")
    return Header(format_, width, height)


def _damaged() -> UnreadableImage:
    return UnreadableImage("The picture's header is cut off or damaged.")


def _format_of(data: bytes) -> Format:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp" and _is_heic(data):
        return "heic"
    raise UnsupportedImage


_PARTS: Final = 4096
"""Segments or boxes read. More than any camera writes mean a file made to be slow to read."""

_MARKER: Final = re.compile(rb"\xff([\x01-\xfe])")
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""Starts of baseline, extended and progressive frames; no other kind is in use."""
_START_OF_SCAN: Final = 0xDA
_END: Final = 0xD9
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(_PARTS):
        found = _MARKER.search(data, at)
        if found is None:
            break
        marker, at = found[1][0], found.end()
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
        if marker in (_START_OF_SCAN, _END):
            break
        if marker not in _WITHOUT_LENGTH:
            at += int(struct.unpack_from(">H", data, at)[0])
    raise _damaged()


def _png(data: bytes) -> tuple[int, int]:
    kind, width, height = struct.unpack_from(">4sII", data, 12)
    if kind != b"IHDR":
        raise _damaged()
    return width, height


_14_BITS: Final = 0x3FFF
_24_BITS: Final = 0xFFFFFF


def _webp(data: bytes) -> tuple[int, int]:
    match data[12:16]:
        case b"VP8X":
            width, height = struct.unpack_from("<I", data, 24)[0], struct.unpack_from("<I", data, 26)[0] >> 8
            return (width & _24_BITS) + 1, height + 1
        case b"VP8L":
            bits = struct.unpack_from("<I", data, 21)[0]
            return (bits & _14_BITS) + 1, (bits >> 14 & _14_BITS) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & _14_BITS, height & _14_BITS
    raise _damaged()


_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_COMMON_BRANDS: Final = frozenset({b"mif1", b"msf1"})
_BRANDS_READ: Final = 256


def _is_heic(data: bytes) -> bool:
    """AVIF and films have the same kind of file; the brands tell them apart."""
    if data[8:12] in _COMMON_BRANDS:
        end = min(int.from_bytes(data[:4]), _BRANDS_READ)
        return any(data[at : at + 4] in _HEIC_BRANDS for at in range(16, end, 4))
    return data[8:12] in _HEIC_BRANDS


def _heic(data: bytes) -> tuple[int, int]:
    """The largest image in the file: no other (thumbnail, tile, depth) is larger than the one shown."""
    start, end = _box(data, b"meta", 0, len(data))
    start, end = _box(data, b"iprp", start + 4, end)
    start, end = _box(data, b"ipco", start, end)
    sizes = [struct.unpack_from(">II", data, at + 4) for kind, at, _ in _boxes(data, start, end) if kind == b"ispe"]
    if not sizes:
        raise _damaged()
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return width, height


def _box(data: bytes, wanted: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the first box of that kind has its content."""
    for kind, content, stop in _boxes(data, start, end):
        if kind == wanted:
            return content, stop
    raise _damaged()


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of content of each box between the two places."""
    for _ in range(_PARTS):
        if start >= end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1:
            size = struct.unpack_from(">Q", data, content)[0]
            content += 8
        stop = start + size if size else end
        if stop < content:
            raise _damaged()
        yield kind, content, min(stop, end)
        start = stop


_SIZES: Final[dict[Format, Callable[[bytes], tuple[int, int]]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "heic": _heic,
}
