"""Pictures for tests, made on the spot; each quarter of one has its own colour, so that a turned one shows."""

import base64
import functools
import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageCms

QUARTERS = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (240, 240, 240))
"""Red, green, blue and white: upper left, upper right, lower left, lower right of the upright picture."""

SECRETS = ("SecretPhone", "SecretMaker", "SecretXmp", "SecretComment")
"""Texts that a phone writes into its files, and that no rendition may hold."""

_HEIC = (
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAaFtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ADRpbG9jAAAAAERAAAIAAQAAAAABxQABAAAAAAAAAOgAAgAAAAACrQABAAAAAAAAADYAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA4GlwcnAAAADAaXBjbwAAAHhodmNDAQNwAAAA"
    "kAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoDCBBZbq"
    "SSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABgAAAAQAAAABBw"
    "aXhpAAAAAAMICAgAAAAJaXJvdAMAAAAYaXBtYQAAAAAAAAABAAEFgQIDBIUAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAASZt"
    "ZGF0AAAA5CgBrw7g0WYBgOTr/gFa///AWjkP7F63RVtA7/Bqv/+1qL//kSI1CZ91CdiqqrrF0KX3JA5R6u4wvzhkmAFefQK5Cul0"
    "72c2Pp1wOegN8rrHYl94AEtMU1ahFBVuZpJGZ+VliFcxdVo+PXXF3zdTkET/51QTx/fSQf/96YOqMfxcJ+2n/JJQwlBT7nO0yLZU"
    "5NH6nItuo/VZRx8mCEffV+NtHE0774zjLoxCk9CqqkdPWHXXfsKqe/StJH/kBS/8EIPI/7ZUJ/I9sijbzI/4S0/Wwhy8fRb0cYzX"
    "IE9Nhnr/5qw/gAAAAAZFeGlmAABNTQAqAAAACAACAQ8AAgAAAAYAAAAmARIAAwAAAAEABgAAAAAAAE1ha2VyAA=="
)
_TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What a camera held so does to the upright picture."""


def quarters(width: int, height: int) -> Image.Image:
    """The upright picture."""
    picture = Image.new("RGB", (width, height))
    for number, colour in enumerate(QUARTERS):
        left, top = width // 2 * (number % 2), height // 2 * (number // 2)
        picture.paste(colour, (left, top, width, height))
    return picture


def saved(picture: Image.Image, format_: str, **options: Any) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def with_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes so many more times: each one is work for all pixels."""
    whole = saved(Image.new("RGB", (width, height), "white"), "JPEG", progressive=True, quality=50)
    last, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    return whole[:last] + whole[last:end] * scans + whole[end:]


def jpeg(width: int, height: int, *, orientation: int = 1, **options: Any) -> bytes:
    """A JPEG that, turned as its EXIF data say, is as large as asked."""
    picture = quarters(width, height)
    if orientation in _TURNED_BACK:
        picture = picture.transpose(_TURNED_BACK[orientation])
    return saved(picture, "JPEG", **{"quality": 90, "exif": _exif(orientation), **options})


def phone_photo(width: int = 1600, height: int = 1200) -> bytes:
    """As a phone held upright makes it: stored sideways, with place, maker's notes, XMP, comment and colour profile."""
    return jpeg(
        width,
        height,
        orientation=6,
        exif=_exif(6, is_telling=True),
        xmp=f"<x:xmpmeta>{SECRETS[2]}</x:xmpmeta>".encode(),
        comment=SECRETS[3].encode(),
        icc_profile=profile(),
    )


def of_type(kind: str) -> bytes:
    """A small picture: `jpeg`, `png`, `webp` or `heic`."""
    return heic() if kind == "heic" else saved(quarters(64, 48), kind.upper())


def heic() -> bytes:
    """64 × 96 upright, stored sideways, with EXIF data; encoded once by libheif."""
    return base64.b64decode("".join(_HEIC))


def animated(kind: str) -> bytes:
    """`webp` or `png` of 64 × 48 whose first frame is the quarters; the second is black."""
    black = Image.new("RGB", (64, 48))
    return saved(quarters(64, 48), kind.upper(), save_all=True, append_images=[black], duration=100)


@functools.cache
def profile() -> bytes:
    """A small RGB colour profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def padded(data: bytes, size: int) -> bytes:
    """The file with zeros after its end, so that it has this many bytes."""
    return data.ljust(size, b"\0")


def jpeg_header(width: int, height: int) -> bytes:
    """A JPEG that claims a size and ends there."""
    return b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x01\x22\0\x02\x11\1\x03\x11\1"


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and ends there."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def _exif(orientation: int, *, is_telling: bool = False) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if is_telling:
        exif[0x0110] = SECRETS[0]
        exif.get_ifd(0x8769)[0x927C] = SECRETS[1].encode()
        exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 13.0, 48.0), 3: "E", 4: (2.0, 55.0, 12.0)})
    return exif.tobytes()


REFUSED = [
    pytest.param(b"", 400, id="empty"),
    pytest.param(b"GIF89a" + b"\0" * 100, 415, id="gif"),
    pytest.param(b"%PDF-1.7\n" + b"\0" * 100, 415, id="pdf"),
    pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, id="svg"),
    pytest.param(b"\0\0\0\x18ftypmp42" + b"\0" * 100, 415, id="video"),
    pytest.param(b"not a picture", 415, id="text"),
    pytest.param(jpeg_header(30_000, 30_000), 422, id="bomb"),
    pytest.param(png_header(30_000, 30_000), 422, id="png bomb"),
    pytest.param(png_header(9_000, 9_000), 422, id="over 64 megapixels"),
]
"""Files that no upload accepts, read from their headers alone, each with the status that says so."""
