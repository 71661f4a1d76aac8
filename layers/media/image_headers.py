"""Type and size of a picture, read from the header of the file without decoding pixels (R-V2, R-M1, R-M8)."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from layers.core import limits
from layers.core.errors import ImageTooLarge, UnreadableImage, UnsupportedImage

type Format = Literal["jpeg", "png", "webp", "heic"]


class Header(msgspec.Struct, frozen=True):
    """The type of a picture, and its size in pixels as stored, before its orientation is applied."""

    format: Format
    width: int
    height: int

    @property
    def media_type(self) -> str:
        """The media type, for `Content-Type`."""
        return f"image/{self.format}"

    @property
    def extension(self) -> str:
        """The extension for file names."""
        return "jpg" if self.format == "jpeg" else self.format


def probe(data: bytes) -> Header:
    """Read the header of a JPEG, PNG, WebP or HEIC picture; of an animation, that of the first frame.

    Raises `UnsupportedImage` for any other content, `UnreadableImage` for a header that is incomplete or damaged, and
    `ImageTooLarge` over the pixel limit. Time and memory are bounded for any content.
    """
    format_ = _format_of(data)
    try:
        width, height = _SIZE_READERS[format_](data)
    except struct.error:
        raise _damaged_header() from None
    if not width or not height:
        raise _damaged_header()
    if max(width, height) > limits.PICTURE_SIDE:
        raise ImageTooLarge(f"{width} × {height} pixels: no side may have more than {limits.PICTURE_SIDE}.")
    maximum = limits.JPEG_PIXELS if format_ == "jpeg" else limits.PIXELS
    if width * height > maximum:
        raise ImageTooLarge(f"{width} × {height} pixels are over the limit of {maximum // 1_000_000} megapixels.")
    return Header(format_, width, height)


def _damaged_header() -> UnreadableImage:
    return UnreadableImage("The header of the picture is incomplete or damaged.")


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


_MAX_PARTS: Final = 4096
"""The maximum number of segments or boxes to read; files with more are made to be slow to read."""

_MARKER: Final = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""A marker that begins a segment: not a byte of a scan's data (FF 00), nor a restart marker in it (FF D0 to FF D7)."""
_START_OF_FRAME: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
"""SOF markers of baseline, extended and progressive frames (ITU T.81, table B.1); other kinds are not in use."""
_PROGRESSIVE: Final = frozenset({0xC2, 0xCA})
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_WITHOUT_LENGTH: Final = frozenset({0x01, 0xD8})

_MAX_SCANS: Final = 100
"""Encoders make 10 to 20."""
_MAX_SCANNED_PIXELS: Final = 2_400_000_000
"""Scans times pixels. A scan without data takes 0.6 ns for each pixel, so this is 1.5 s; 24 scans of 100 megapixels."""


def _jpeg_size(data: bytes) -> tuple[int, int]:
    segments = _iterate_segments(data)
    for marker, at in segments:
        if marker in _START_OF_FRAME:
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            _check_scans(data, segments, width * height, components, is_progressive=marker in _PROGRESSIVE)
            return width, height
        if marker == _START_OF_SCAN:
            break
    raise _damaged_header()


def _check_scans(
    data: bytes, segments: Iterator[tuple[int, int]], pixels: int, components: int, *, is_progressive: bool
) -> None:
    """Raise `UnreadableImage` if decoding the scans takes too long: each writes to the whole picture."""
    scans = 0
    for marker, at in segments:
        if marker == _START_OF_SCAN:
            if not is_progressive and data[at + 2 : at + 3] == bytes([components]):
                return  # one scan has all components; decoders stop after it
            scans += 1
            if scans > _MAX_SCANS or scans * pixels > _MAX_SCANNED_PIXELS:
                raise UnreadableImage("The picture has too many scans; save it as a baseline JPEG.")


def _iterate_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Marker and position after it of each segment of a JPEG file; ends after the last one that is complete.

    Raises `UnreadableImage` for more segments than any encoder writes.
    """
    at = 2
    for _ in range(_MAX_PARTS):
        found = _MARKER.search(data, at)
        if found is None or found[1][0] == _END_OF_IMAGE:
            return
        marker, at = found[1][0], found.end()
        yield marker, at
        if marker not in _WITHOUT_LENGTH:
            if at + 2 > len(data):
                return
            at += int(struct.unpack_from(">H", data, at)[0])
    raise _damaged_header()


def _png_size(data: bytes) -> tuple[int, int]:
    kind, width, height = struct.unpack_from(">4sII", data, 12)
    if kind != b"IHDR":
        raise _damaged_header()
    return width, height


_14_BITS: Final = 0x3FFF
_24_BITS: Final = 0xFFFFFF


def _webp_size(data: bytes) -> tuple[int, int]:
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
    raise _damaged_header()


_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
_COMMON_BRANDS: Final = frozenset({b"mif1", b"msf1"})
_BRANDS_READ: Final = 256


def _is_heic(data: bytes) -> bool:
    """AVIF and videos have the same file format (ISO/IEC 14496-12) and differ in their brands."""
    if data[8:12] in _COMMON_BRANDS:
        end = min(int.from_bytes(data[:4]), _BRANDS_READ)
        return any(data[at : at + 4] in _HEIC_BRANDS for at in range(16, end, 4))
    return data[8:12] in _HEIC_BRANDS


def _heic_size(data: bytes) -> tuple[int, int]:
    """The size of the largest image in the file; thumbnails, tiles and depth maps are not larger than the picture."""
    start, end = _find_box(data, b"meta", 0, len(data))
    start, end = _find_box(data, b"iprp", start + 4, end)
    start, end = _find_box(data, b"ipco", start, end)
    sizes = [
        struct.unpack_from(">II", data, at + 4) for kind, at, _ in _iterate_boxes(data, start, end) if kind == b"ispe"
    ]
    if not sizes:
        raise _damaged_header()
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return width, height


def _find_box(data: bytes, wanted: bytes, start: int, end: int) -> tuple[int, int]:
    """Start and end of the content of the first box of this kind."""
    for kind, content, stop in _iterate_boxes(data, start, end):
        if kind == wanted:
            return content, stop
    raise _damaged_header()


def _iterate_boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and start and end of the content, of each box between two positions."""
    for _ in range(_MAX_PARTS):
        if start >= end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1:
            size = struct.unpack_from(">Q", data, content)[0]
            content += 8
        stop = start + size if size else end
        if stop < content:
            raise _damaged_header()
        yield kind, content, min(stop, end)
        start = stop


_SIZE_READERS: Final[dict[Format, Callable[[bytes], tuple[int, int]]]] = {
    "jpeg": _jpeg_size,
    "png": _png_size,
    "webp": _webp_size,
    "heic": _heic_size,
}
