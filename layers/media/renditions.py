"""The files made of an uploaded picture: four sizes of a photo, a story's, a message's, an avatar."""

import time
from typing import Final

from layers.core import metrics
from layers.core.errors import PhotogramError
from layers.core.models import SIZES
from layers.media import decoder_process, image_headers
from layers.media.connection import image_processing
from layers.media.render_jobs import RenderedPhoto, RenderJob, Size

__all__ = ["RenderedPhoto", "render_avatar", "render_message", "render_photo", "render_story"]

PHOTO: Final = tuple(Size(name, side, side) for name, (_, side) in sorted(SIZES.items(), key=lambda size: -size[1][1]))
STORY: Final = (Size("story", 1080, 1920), Size("thumbnail", 150, 150, is_cropped=True, encodings=("jpeg",)))
MESSAGE: Final = (Size("message", 1080, 1080, encodings=("jpeg",)),)
AVATAR: Final = (Size("avatar", 150, 150, is_cropped=True, encodings=("jpeg",)),)


def render_photo(data: bytes) -> RenderedPhoto:
    """Large, medium, small and thumbnail (1080, 640, 320, 150 on the longer side, never enlarged), JPEG and WebP.

    Upright, aspect within a pixel, first frame only, transparent parts white, without any metadata but a small
    colour profile. Raises `UnsupportedImage`, `ImageTooLarge` and `UnreadableImage` for what no retry can mend,
    `StoreUnavailable` for what one may.
    """
    return _render(data, PHOTO, "all")


def render_story(data: bytes) -> RenderedPhoto:
    """`story`, fitting 1080 x 1920, as JPEG and WebP, and `thumbnail`, the square middle of 150 x 150, as JPEG.

    Raises as `render_photo`, and `StoreUnavailable` at once while the image breaker is open.
    """
    with image_processing.guard(part=True):
        return _render(data, STORY, "story")


def render_message(data: bytes) -> RenderedPhoto:
    """`message`, a JPEG fitting 1080 x 1080. Raises as `render_story`."""
    with image_processing.guard(part=True):
        return _render(data, MESSAGE, "message")


def render_avatar(data: bytes) -> RenderedPhoto:
    """`avatar`, the square middle as a JPEG of exactly 150 x 150. Raises as `render_story`."""
    with image_processing.guard(part=True):
        return _render(data, AVATAR, "avatar")


def _render(data: bytes, sizes: tuple[Size, ...], kind: str) -> RenderedPhoto:
    started = time.perf_counter()
    try:
        photo = decoder_process.render(RenderJob(image_headers.probe(data), sizes), data)
    except PhotogramError as error:
        metrics.IMAGE_ERRORS.labels(type(error).__name__).inc()
        metrics.PROCESSING_ERRORS.labels(type(error).__name__).inc()
        raise
    seconds = time.perf_counter() - started
    metrics.IMAGE_SECONDS.labels(kind).observe(seconds)
    metrics.PROCESSING_SECONDS.observe(seconds)
    return photo
