"""The files made of a picture, looked at as a viewer would."""

import io
import struct
import subprocess
import sys

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from layers.core.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from layers.media.renditions import RenderedPhoto, render_avatar, render_photo, render_story
from tests import pictures

SIDES = {"thumbnail": 150, "small": 320, "medium": 640, "large": 1080}


def _files(photo: RenderedPhoto) -> dict[tuple[str, str], Image.Image]:
    found: dict[tuple[str, str], Image.Image] = {}
    for file in photo.renditions:
        picture = Image.open(io.BytesIO(file.data))
        assert (picture.format, picture.size) == (file.encoding.upper(), (file.width, file.height))
        found[file.size, file.encoding] = picture
    return found


def _assert_quarters(picture: Image.Image) -> None:
    """Upright: each quarter's middle has its colour, as far as lossy files keep it."""
    plain = picture.convert("RGB")
    for number, colour in enumerate(pictures.QUARTERS):
        at = plain.width * (1 + 2 * (number % 2)) // 4, plain.height * (1 + 2 * (number // 2)) // 4
        found = plain.getpixel(at)
        assert isinstance(found, tuple)
        assert all(abs(seen - wanted) < 25 for seen, wanted in zip(found, colour, strict=True)), (number, found)


@pytest.mark.rule("R-M2")
@pytest.mark.parametrize(("width", "height"), [(4000, 3000), (1081, 777), (1600, 9), (9, 1600)])
def test_four_sizes_have_exactly_their_longer_side_and_keep_the_aspect(width: int, height: int) -> None:
    photo = render_photo(pictures.jpeg(width, height))
    files = _files(photo)

    assert (photo.width, photo.height) == (width, height)
    assert set(files) == {(size, encoding) for size in SIDES for encoding in ("jpeg", "webp")}
    for (size, _), picture in files.items():
        assert max(picture.size) == SIDES[size]
        scale = SIDES[size] / max(width, height)
        assert abs(picture.width - max(1, width * scale)) < 1
        assert abs(picture.height - max(1, height * scale)) < 1


@pytest.mark.rule("R-M2")
@pytest.mark.parametrize(("width", "height"), [(1, 1), (100, 80), (640, 480), (320, 1080)])
def test_a_small_picture_is_never_enlarged(width: int, height: int) -> None:
    for (size, _), picture in _files(render_photo(pictures.jpeg(width, height))).items():
        assert max(picture.size) == min(SIDES[size], max(width, height))


@pytest.mark.rule("R-M3")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("width", "height"), [(1400, 1000), (100, 60)])
def test_every_orientation_comes_out_upright(orientation: int, width: int, height: int) -> None:
    photo = render_photo(pictures.jpeg(width, height, orientation=orientation))

    assert (photo.width, photo.height) == (width, height)
    for picture in _files(photo).values():
        assert picture.width > picture.height
        _assert_quarters(picture)


@pytest.mark.rule("R-M3")
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_orientation_counts_in_other_types_too(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = pictures.quarters(100, 60).transpose(Image.Transpose.ROTATE_90)
    photo = render_photo(pictures.saved(stored, kind, exif=exif))

    assert (photo.width, photo.height) == (100, 60)
    _assert_quarters(_files(photo)["large", "webp"])


@pytest.mark.rule("R-M3")
def test_no_metadata_is_left() -> None:
    original = pictures.phone_photo()
    for secret in pictures.SECRETS:
        assert secret.encode() in original

    for photo in (render_photo(original), render_story(original), render_avatar(original)):
        for file in photo.renditions:
            for mark in (*pictures.SECRETS, "Exif", "EXIF", "XMP", "xmp", "ns.adobe.com", "II*\0", "MM\0*"):
                assert mark.encode() not in file.data, (file.size, mark)
            picture = Image.open(io.BytesIO(file.data))
            assert not picture.getexif()
            assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density", "icc_profile", "loop",
                                         "background", "timestamp", "duration"}  # fmt: skip


@pytest.mark.rule("R-M3")
def test_texts_in_a_png_are_gone_too() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "SecretComment")
    texts.add_itxt("XML:com.adobe.xmp", "SecretXmp")
    data = pictures.saved(pictures.quarters(64, 48), "PNG", pnginfo=texts)

    assert b"SecretComment" in data
    assert all(b"Secret" not in file.data for file in render_photo(data).renditions)


@pytest.mark.rule("R-M3")
def test_a_small_rgb_profile_is_kept_in_every_file() -> None:
    photo = render_photo(pictures.jpeg(64, 48, icc_profile=pictures.profile()))

    assert {picture.info.get("icc_profile") for picture in _files(photo).values()} == {pictures.profile()}


@pytest.mark.rule("R-M3")
def test_a_large_profile_is_converted_to_srgb() -> None:
    # An RGB profile with red and blue exchanged in meaning would show if it were dropped without converting; padding
    # makes it too large to keep.
    own = bytearray(pictures.profile())
    red, blue = own.index(b"rXYZ"), own.index(b"bXYZ")
    own[red : red + 4], own[blue : blue + 4] = b"bXYZ", b"rXYZ"
    own += bytes(8000)
    own[:4] = struct.pack(">I", len(own))
    assert ImageCms.getOpenProfile(io.BytesIO(bytes(own)))
    photo = render_photo(pictures.saved(Image.new("RGB", (40, 30), (250, 0, 0)), "PNG", icc_profile=bytes(own)))

    for picture in _files(photo).values():
        assert picture.info.get("icc_profile") is None
        seen = picture.convert("RGB").getpixel((20, 15))
        assert isinstance(seen, tuple)
        assert (seen[0] < 50, seen[2] > 200) == (True, True)


@pytest.mark.rule("R-M3")
@pytest.mark.parametrize("profile", [b"no profile at all", bytes(200), pictures.profile()[:-1000]])
def test_a_damaged_profile_does_no_harm(profile: bytes) -> None:
    _assert_quarters(_files(render_photo(pictures.jpeg(64, 48, icc_profile=profile)))["large", "jpeg"])


@pytest.mark.rule("R-M3")
def test_damaged_exif_data_do_no_harm() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(20)):
        _assert_quarters(_files(render_photo(pictures.jpeg(64, 48, exif=exif)))["large", "jpeg"])


@pytest.mark.rule("R-M4")
def test_a_heic_gives_the_same_eight_files_upright() -> None:
    photo = render_photo(pictures.heic())
    files = _files(photo)

    assert (photo.width, photo.height) == (64, 96)
    assert len(files) == 8
    upright = pictures.quarters(96, 64).transpose(Image.Transpose.ROTATE_270)
    for picture in files.values():
        assert picture.size == upright.size
        for at in ((16, 24), (48, 24), (16, 72), (48, 72)):
            seen, wanted = picture.convert("RGB").getpixel(at), upright.getpixel(at)
            assert isinstance(seen, tuple)
            assert isinstance(wanted, tuple)
            assert all(abs(a - b) < 60 for a, b in zip(seen, wanted, strict=True)), at  # encoded from purer colours


@pytest.mark.rule("R-M4")
@pytest.mark.parametrize("kind", ["webp", "png"])
def test_of_animated_input_the_first_frame_is_used(kind: str) -> None:
    for picture in _files(render_photo(pictures.animated(kind))).values():
        _assert_quarters(picture)
        assert getattr(picture, "n_frames", 1) == 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_png_becomes_rgb(mode: str) -> None:
    grey = Image.linear_gradient("L")
    picture = Image.frombytes("I;16", grey.size, b"".join(bytes((0, value)) for value in grey.tobytes())) if (
        mode == "I;16"
    ) else grey.convert(mode)  # fmt: skip
    for file in _files(render_photo(pictures.saved(picture, "PNG"))).values():
        assert file.mode == "RGB"
        above, below = (file.getpixel((file.width // 2, y)) for y in (2, file.height - 3))
        assert isinstance(above, tuple)
        assert isinstance(below, tuple)
        assert max(above) < 15
        assert min(below) > 240


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_every_kind_of_jpeg_becomes_rgb(mode: str) -> None:
    data = pictures.saved(pictures.quarters(64, 48).convert(mode), "JPEG", quality=95)
    for file in _files(render_photo(data)).values():
        assert file.mode == "RGB"
        lower_right = file.getpixel((file.width * 3 // 4, file.height * 3 // 4))
        assert isinstance(lower_right, tuple)
        assert min(lower_right) > 225


def test_transparent_parts_are_white_in_both_encodings() -> None:
    seen_through = pictures.quarters(1400, 1000).convert("RGBA")
    seen_through.paste((255, 0, 0, 0), (0, 0, 700, 500))
    palette = pictures.quarters(64, 48).quantize(8)
    red = palette.getpixel((5, 5))
    for data in (
        pictures.saved(seen_through, "PNG"),
        pictures.saved(seen_through, "WEBP", lossless=True),
        pictures.saved(palette, "PNG", transparency=red),
    ):
        for file in _files(render_photo(data)).values():
            upper_left = file.convert("RGB").getpixel((file.width // 4, file.height // 4))
            assert isinstance(upper_left, tuple)
            assert min(upper_left) > 245
            assert "A" not in file.mode


def test_the_same_picture_gives_the_same_bytes_again() -> None:
    assert render_photo(pictures.phone_photo()) == render_photo(pictures.phone_photo())


@pytest.mark.rule("R-M6")
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
def test_a_truncated_file_is_unreadable(kind: str) -> None:
    whole = pictures.of_type(kind) if kind == "heic" else pictures.saved(Image.effect_noise((300, 200), 90), kind)
    for share in (0.3, 0.5, 0.9):
        with pytest.raises(UnreadableImage):
            render_photo(whole[: int(len(whole) * share)])


@pytest.mark.rule("R-M1", "R-M8")
def test_bad_files_are_refused_before_any_decode() -> None:
    with pytest.raises(UnsupportedImage):
        render_photo(b"GIF89a" + bytes(100))
    with pytest.raises(ImageTooLarge):
        render_photo(pictures.jpeg_header(30_000, 30_000))


@pytest.mark.rule("R-M8")
def test_a_second_header_cannot_make_it_larger() -> None:
    honest = pictures.jpeg(64, 48, exif=b"")
    frame = honest.index(b"\xff\xc0")
    claiming = honest[:frame] + honest[frame : frame + 19] + pictures.jpeg_header(30_000, 30_000)[2:] + honest[frame:]

    with pytest.raises(UnreadableImage):
        render_photo(claiming)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [((3000, 2000), (1080, 720)), ((2000, 4000), (960, 1920)), ((1080, 1920), (1080, 1920)), ((100, 60), (100, 60))],
)
def test_a_story_fits_1080_by_1920_uncropped(given: tuple[int, int], wanted: tuple[int, int]) -> None:
    files = _files(render_story(pictures.jpeg(*given, orientation=6)))

    assert {key: picture.size for key, picture in files.items()} == {
        ("story", "jpeg"): wanted,
        ("story", "webp"): wanted,
        ("thumbnail", "jpeg"): (150, 150),
    }
    _assert_quarters(files["story", "jpeg"])
    _assert_quarters(files["thumbnail", "jpeg"])


@pytest.mark.rule("R-M2")
@pytest.mark.parametrize("given", [(4000, 1000), (1000, 4000), (150, 150), (40, 60), (1, 1)])
def test_an_avatar_is_the_square_middle(given: tuple[int, int]) -> None:
    [picture] = _files(render_avatar(pictures.jpeg(*given, orientation=8))).values()

    assert (picture.format, picture.size) == ("JPEG", (150, 150))
    if min(given) > 1:
        _assert_quarters(picture)


def test_the_host_never_imports_pillow_or_the_stores_driver() -> None:
    program = (
        "import sys\n"
        "from layers.media import avatars, photos, renditions, story_media\n"
        f"picture = {pictures.of_type('jpeg')!r}\n"
        "renditions.render_photo(picture)\n"
        "print(sorted({'PIL', 'pi_heif', 'cykooz_resizer', 'boto3'} & set(sys.modules)))\n"
    )
    completed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert completed.stdout.strip() == "[]"
