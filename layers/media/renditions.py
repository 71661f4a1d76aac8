"""Pictures in all their sizes, made in the darkroom: a process of its own that may be killed."""

from typing import Literal

import msgspec

from layers.core import metrics
from layers.core.breaker import Breaker
from layers.media import darkroom

processing = Breaker("image_processing", failure_ratio=0.5, volume=3, reset_seconds=60)
"""Stands before synchronous processing: it opens when the darkroom or the object store failed half of the time."""


class Rendition(msgspec.Struct, frozen=True):
    """One file of a picture."""

    size: str
    """`thumbnail`, `small`, `medium`, `large`, `story` or `avatar`."""
    format: Literal["jpeg", "webp"]
    width: int
    height: int
    data: bytes

    @property
    def extension(self) -> str:
        """As its key ends."""
        return "jpg" if self.format == "jpeg" else "webp"


class Rendered(msgspec.Struct, frozen=True):
    """A picture's files, and the size it was uploaded in, after orientation."""

    width: int
    height: int
    files: list[Rendition]


def render_photo(data: bytes) -> Rendered:
    """Four sizes (150, 320, 640, 1080 pixels on the longer side, never enlarged), each as JPEG and WebP.

    Orientation is applied, the colour profile kept, all other metadata gone. Raises `UnreadableImage`.
    """
    with metrics.IMAGE_SECONDS.labels("all").time(), metrics.PROCESSING_SECONDS.time():
        return darkroom.develop("photo", data, Rendered)


def render_story(data: bytes) -> Rendered:
    """One size that fits 1080 × 1920 as JPEG and WebP, and a thumbnail as JPEG. Raises `UnreadableImage`."""
    with processing.guard(), metrics.IMAGE_SECONDS.labels("story").time():
        return darkroom.develop("story", data, Rendered)


def render_avatar(data: bytes) -> Rendered:
    """A square of 150 pixels cut from the middle, as JPEG. Raises `UnreadableImage`."""
    with processing.guard():
        return darkroom.develop("avatar", data, Rendered)
