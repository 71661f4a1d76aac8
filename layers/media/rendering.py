"""What the darkroom does with a picture: one scaled decode, then each size from the one before."""

import io
import struct
from collections.abc import Callable
from typing import Any, Final

import pi_heif
from PIL import Image, ImageCms, ImageFile, ImageOps

from layers.core import images
from layers.core.errors import UnreadableImage
from layers.core.models import SIZES

pi_heif.register_heif_opener(thumbnails=False)
ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = None  # `images.probe` has the limits, by type

UNREADABLE: Final = (OSError, ValueError, SyntaxError, MemoryError, struct.error, EOFError, UnreadableImage)

JPEG_QUALITY: Final = 82
WEBP_QUALITY: Final = 80
WEBP_METHOD: Final = 2  # method 4 costs twice the time for five per cent of the bytes
STORY_BOX: Final = (1080, 1920)
AVATAR_SIDE: Final = 150
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = frozenset({5, 6, 7, 8})
_LARGEST_FIRST: Final = sorted(SIZES, key=lambda size: -SIZES[size][1])

type Made = dict[str, Any]


def photo(data: bytes) -> Made:
    """Four sizes, each as JPEG and WebP."""
    largest = SIZES[_LARGEST_FIRST[0]][1]
    image, profile, width, height = _opened(data, (largest, largest))
    files = []
    for size in _LARGEST_FIRST:
        side = SIZES[size][1]
        image = _fitted(image, (side, side))
        files += [_file(size, image, profile, encoding) for encoding in ("jpeg", "webp")]
    return {"width": width, "height": height, "files": files}


def story(data: bytes) -> Made:
    """One size as JPEG and WebP, and a thumbnail."""
    image, profile, width, height = _opened(data, STORY_BOX)
    files = [_file("story", image, profile, encoding) for encoding in ("jpeg", "webp")]
    side = SIZES["thumbnail"][1]
    files.append(_file("thumbnail", _fitted(image, (side, side)), profile, "jpeg"))
    return {"width": width, "height": height, "files": files}


def avatar(data: bytes) -> Made:
    """A square from the middle."""
    image, profile, width, height = _opened(data, (4 * AVATAR_SIDE, 4 * AVATAR_SIDE))
    square = ImageOps.fit(image, (AVATAR_SIDE, AVATAR_SIDE), Image.Resampling.LANCZOS)
    return {"width": width, "height": height, "files": [_file("avatar", square, profile, "jpeg")]}


JOBS: Final[dict[str, Callable[[bytes], Made]]] = {"photo": photo, "story": story, "avatar": avatar}


def reason(error: BaseException) -> str:
    """What the owner reads: never a path, a pointer or a library's words."""
    return "The picture needs too much memory." if isinstance(error, MemoryError) else UnreadableImage.__doc__ or ""


def _opened(data: bytes, box: tuple[int, int]) -> tuple[Image.Image, bytes | None, int, int]:
    """The picture fitted into a box and turned upright, its colour profile, and its full size when upright.

    Scaled first and turned then: a 100-megapixel picture turned first takes 800 MB.
    """
    images.probe(data)
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
        turn = opened.getexif().get(_ORIENTATION, 1)
        if turn in _SIDEWAYS:
            width, height, box = height, width, (box[1], box[0])
        opened.draft(None, _size_within(opened.size, box))
        opened.load()
        image, profile = _plain(opened)
    image = _fitted(image, box)
    if turn in _TURNS:
        image = image.transpose(_TURNS[turn])
    return image, profile, width, height


def _plain(opened: Image.Image) -> tuple[Image.Image, bytes | None]:
    """RGB or grey without transparency, and the profile that its colours are in."""
    profile: bytes | None = opened.info.get("icc_profile") or None
    image = opened
    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode == "CMYK":
        return _from_cmyk(image, profile), None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        seen_through = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(seen_through, mask=seen_through.getchannel("A"))
    elif image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    if profile and not _suits(profile, image.mode):
        profile = None
    return image, profile


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Print colours as sRGB, by their profile where it is sound."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except ImageCms.PyCMSError:
            pass
        else:
            if converted is not None:
                return converted
    return image.convert("RGB")


def _suits(profile: bytes, mode: str) -> bool:
    """Whether a profile is for pixels of this kind: its header names the colour space."""
    return profile[16:20] == (b"GRAY" if mode == "L" else b"RGB ")


def _size_within(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """The size that fits into the box, its longer side exactly the box's; never larger than it is."""
    width, height = size
    scale = min(box[0] / width, box[1] / height)
    if scale >= 1:
        return size
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fitted(image: Image.Image, box: tuple[int, int]) -> Image.Image:
    size = _size_within(image.size, box)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _file(size: str, image: Image.Image, profile: bytes | None, encoding: str) -> Made:
    out = io.BytesIO()
    image.info = {}  # what is here, a comment for instance, some encoders write
    if encoding == "jpeg":
        image.save(out, "JPEG", quality=JPEG_QUALITY, icc_profile=profile)
    else:
        image.save(out, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD, icc_profile=profile or b"")
    return {"size": size, "format": encoding, "width": image.width, "height": image.height, "data": out.getvalue()}
