"""What is asked of the decoder_process and what comes back: the language between it and its host."""

import struct
from typing import Final, Literal

import msgspec

from layers.media import image_headers

Encoding = Literal["jpeg", "webp"]

FRAME: Final = struct.Struct(">QQ")
"""Stands before each message: the length of what is said in msgpack, and of the picture after it."""


CPU_SECONDS: Final = 10
"""For one picture. The dearest honest ones (64 megapixels of HEIC) take 2; a file made to be slow takes minutes."""
MEMORY_BYTES: Final = 1536 * 1024 * 1024
"""The dearest honest pictures (64 megapixels of WebP) take 1 GiB."""


class Size(msgspec.Struct, frozen=True):
    """One size to make: fits inside width and height and never enlarges; cropped, it is exactly that large."""

    name: str
    width: int
    height: int
    is_cropped: bool = False
    encodings: tuple[Encoding, ...] = ("jpeg", "webp")


class RenderJob(msgspec.Struct, frozen=True):
    """A picture by its header, and the sizes to make of it, from large to small."""

    header: image_headers.Header
    sizes: tuple[Size, ...]
    cpu_seconds: int = CPU_SECONDS
    memory_bytes: int = MEMORY_BYTES


class Rendition(msgspec.Struct, frozen=True):
    """One file, ready to be stored."""

    size: str
    encoding: Encoding
    width: int
    height: int
    data: bytes

    @property
    def media_type(self) -> str:
        """For `Content-Type`."""
        return f"image/{self.encoding}"

    @property
    def extension(self) -> str:
        """As file names end."""
        return "jpg" if self.encoding == "jpeg" else self.encoding


class RenderedPhoto(msgspec.Struct, frozen=True, tag=True):
    """A picture's size as one sees it, orientation applied, and the files made of it."""

    width: int
    height: int
    renditions: tuple[Rendition, ...]


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """It is no picture that can be read, and why."""

    reason: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The work went wrong for a reason that is not the picture's."""

    error: str


Outcome = RenderedPhoto | Unreadable | Failed
