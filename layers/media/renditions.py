"""The renditions of uploaded pictures: of photos, stories, messages and avatars (R-M2 to R-M4)."""

import time
from typing import Final

from layers.core import metrics
from layers.core.errors import PhotogramError
from layers.core.models import SIZES
from layers.media import decoder_process, image_headers
from layers.media.connection import image_processing
from layers.media.decoder_process import Receive
from layers.media.render_jobs import RenderedPhoto, RenderJob, Size

__all__ = ["RenderedPhoto", "render_avatar", "render_message", "render_photo", "render_story"]

PHOTO: Final = tuple(Size(name, side, side) for name, (_, side) in sorted(SIZES.items(), key=lambda size: -size[1][1]))
STORY: Final = (Size("story", 1080, 1920), Size("thumbnail", 150, 150, is_cropped=True, encodings=("jpeg",)))
MESSAGE: Final = (Size("message", 1080, 1080, encodings=("jpeg",)),)
AVATAR: Final = (Size("avatar", 150, 150, is_cropped=True, encodings=("jpeg",)),)


def render_photo(data: bytes, receive: Receive = lambda _: None) -> RenderedPhoto:
    """`large`, `medium`, `small` and `thumbnail` (1080, 640, 320 and 150 pixels on the longer side), as JPEG and WebP.

    `receive` gets each rendition while the others are still being made.

    Never enlarged, upright, of the first frame, with transparent parts white, and without metadata except a small
    colour profile. Raises `UnsupportedImage`, `ImageTooLarge` or `UnreadableImage`, for which a retry cannot help, and
    `StoreUnavailable`, for which it may.
    """
    return _render(data, PHOTO, "all", receive)


def render_story(data: bytes) -> RenderedPhoto:
    """`story`, which fits into 1080 × 1920, as JPEG and WebP; `thumbnail`, the square middle in 150 × 150, as JPEG.

    Raises as `render_photo`, and `StoreUnavailable` at once while the image breaker is open.
    """
    with image_processing.guard(part=True):
        return _render(data, STORY, "story")


def render_message(data: bytes) -> RenderedPhoto:
    """`message`, a JPEG that fits into 1080 × 1080. Raises as `render_story`."""
    with image_processing.guard(part=True):
        return _render(data, MESSAGE, "message")


def render_avatar(data: bytes) -> RenderedPhoto:
    """`avatar`, the square middle as a JPEG of exactly 150 × 150. Raises as `render_story`."""
    with image_processing.guard(part=True):
        return _render(data, AVATAR, "avatar")


def _render(data: bytes, sizes: tuple[Size, ...], kind: str, receive: Receive = lambda _: None) -> RenderedPhoto:
    started = time.perf_counter()
    try:
        photo = decoder_process.render(RenderJob(image_headers.probe(data), sizes), data, receive)
    except PhotogramError as error:
        metrics.IMAGE_ERRORS.labels(type(error).__name__).inc()
        metrics.PROCESSING_ERRORS.labels(type(error).__name__).inc()
        raise
    seconds = time.perf_counter() - started
    metrics.IMAGE_SECONDS.labels(kind).observe(seconds)
    metrics.PROCESSING_SECONDS.observe(seconds)
    return photo
