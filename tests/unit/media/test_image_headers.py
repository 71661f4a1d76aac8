"""What pictures say of themselves in their headers."""

import struct
import tracemalloc

import pytest

from layers.core.errors import BadPicture, ImageTooLarge, UnreadableImage, UnsupportedImage
from layers.media.image_headers import Header, probe
from tests import pictures


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _heic_header(*sizes: tuple[int, int], brands: tuple[bytes, ...] = (b"heic", b"mif1")) -> bytes:
    extents = b"".join(_box(b"ispe", struct.pack(">III", 0, *size)) for size in sizes)
    meta = _box(b"meta", b"\0" * 4 + _box(b"hdlr", b"\0" * 8) + _box(b"iprp", _box(b"ipco", extents)))
    return _box(b"ftyp", brands[0] + b"\0" * 4 + b"".join(brands)) + meta


@pytest.mark.rule("R-V2")
@pytest.mark.parametrize(
    ("data", "header"),
    [
        (pictures.of_type("jpeg"), Header("jpeg", 64, 48)),
        (pictures.of_type("png"), Header("png", 64, 48)),
        (pictures.of_type("webp"), Header("webp", 64, 48)),
        (pictures.heic(), Header("heic", 96, 64)),
        (pictures.animated("png"), Header("png", 64, 48)),
        (pictures.animated("webp"), Header("webp", 64, 48)),
        (pictures.saved(pictures.quarters(65, 47), "WEBP", lossless=True), Header("webp", 65, 47)),
        (pictures.saved(pictures.quarters(65, 47), "JPEG", progressive=True), Header("jpeg", 65, 47)),
        (pictures.jpeg(65, 47, orientation=6), Header("jpeg", 47, 65)),
        (_heic_header((512, 512), (4032, 3024), (320, 240)), Header("heic", 4032, 3024)),
        (_heic_header((8, 9), brands=(b"mif1", b"heic")), Header("heic", 8, 9)),
    ],
)
def test_type_and_stored_size_are_read_from_the_content(data: bytes, header: Header) -> None:
    assert probe(data) == header


@pytest.mark.rule("R-M1")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"not a picture",
        b"GIF89a" + bytes(100),
        b"%PDF-1.7\n" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"BM" + bytes(100),
        b"II*\0" + bytes(100),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
        b"\0\0\0\x18ftypmp42" + bytes(100),
        b"\0\0\0\x14ftypqt  " + bytes(100),
        _heic_header((8, 9), brands=(b"avif", b"mif1")),
        _heic_header((8, 9), brands=(b"mif1", b"avif")),
    ],
)
def test_anything_else_is_refused_by_its_content(data: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="JPEG, PNG, WebP or HEIC"):
        probe(data)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
def test_a_header_cut_off_anywhere_is_refused_without_an_unexpected_error(kind: str) -> None:
    whole = pictures.of_type(kind)
    for length in range(len(whole)):
        try:
            header = probe(whole[:length])
        except BadPicture:
            continue
        assert header == probe(whole)


@pytest.mark.parametrize(
    "data",
    [
        pictures.jpeg_header(0, 100),
        pictures.jpeg_header(100, 0),
        pictures.png_header(0, 1),
        b"\xff\xd8\xff\xe0\0\x02" * 3,
        b"\xff\xd8\xff\xe0\0\0",
        b"\xff\xd8" + b"\xff\xe0\0\x02" * 100_000,
        b"\xff\xd8" + b"\xff" * 10_000_000,
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"CgBI", 1, 1),
        b"RIFF\0\0\0\0WEBPVP9 " + bytes(40),
        _heic_header(),
        _box(b"ftyp", b"heic\0\0\0\0heic") + _box(b"free", b"") * 10_000,
        _box(b"ftyp", b"heic\0\0\0\0heic") + struct.pack(">I4sQ", 1, b"meta", 3),
    ],
)
def test_a_damaged_header_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableImage):
        probe(data)


@pytest.mark.rule("R-M8")
@pytest.mark.parametrize(
    ("data", "megapixels"),
    [
        (pictures.jpeg_header(30_000, 30_000), 100),
        (pictures.jpeg_header(10_000, 10_001), 100),
        (pictures.png_header(30_000, 30_000), 64),
        (pictures.png_header(8_000, 8_001), 64),
        (pictures.png_header(65_535, 65_535), 64),
        (_heic_header((8_000, 8_001)), 64),
        (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\x3f\0" * 2, 64),
    ],
)
def test_a_bomb_is_refused_from_its_header_with_bounded_memory(data: bytes, megapixels: int) -> None:
    tracemalloc.start()
    with pytest.raises(ImageTooLarge, match=f"{megapixels} megapixels"):
        probe(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 100_000


@pytest.mark.rule("R-M8")
@pytest.mark.parametrize("width", [1, 65_536])
def test_a_picture_of_millions_of_rows_is_refused(width: int) -> None:
    with pytest.raises(ImageTooLarge, match="side"):
        probe(pictures.png_header(width, 64_000_000 if width == 1 else 1))


def _baseline_with_single_scans(scans: int) -> bytes:
    """A baseline JPEG with a scan for one component at a time, which decoders read to the end."""
    whole = pictures.jpeg(640, 480)
    at = whole.index(b"\xff\xda")
    one = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x55" * 100
    return whole[:at] + one * scans + b"\xff\xd9"


@pytest.mark.rule("R-M8")
@pytest.mark.parametrize(
    "data",
    [
        pictures.with_scans(64, 48, 100),
        pictures.with_scans(6000, 6000, 60),
        _baseline_with_single_scans(101),
        pictures.with_scans(64, 48, 5000),
    ],
    ids=["scans", "pixels", "baseline", "segments"],
)
def test_a_picture_whose_scans_take_long_is_refused_from_its_headers(data: bytes) -> None:
    with pytest.raises(UnreadableImage, match="scans"):
        probe(data)


@pytest.mark.parametrize(
    "data",
    [
        pictures.with_scans(640, 480, 80),
        pictures.with_scans(6000, 6000, 50),
        pictures.saved(pictures.quarters(640, 480), "JPEG", progressive=True, restart_marker_blocks=1),
        pictures.saved(pictures.quarters(640, 480), "JPEG", restart_marker_blocks=1),
        pictures.with_scans(64, 48, 1) + b"\xff\xda" * 500,
        _baseline_with_single_scans(100),
    ],
    ids=["scans", "pixels", "restarts", "baseline with restarts", "after the end", "baseline"],
)
def test_scans_within_the_limit_pass(data: bytes) -> None:
    assert probe(data).format == "jpeg"


@pytest.mark.rule("R-M8")
def test_exactly_the_limit_passes() -> None:
    assert probe(pictures.jpeg_header(10_000, 10_000)).width == 10_000
    assert probe(pictures.png_header(8_000, 8_000)).width == 8_000
