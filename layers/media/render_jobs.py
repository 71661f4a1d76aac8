"""The messages between a host and the child process that decodes pictures."""

import struct
from typing import Final, Literal

import msgspec

from layers.media import image_headers

Encoding = Literal["jpeg", "webp"]

FRAME: Final = struct.Struct(">QQ")
"""The header of each message: the lengths of the msgpack part and of the picture that follows it, in bytes."""


CPU_SECONDS: Final = 10
"""For one picture. HEIC of 64 megapixels and progressive JPEG need 2 s, HEIC with ten bits for each colour 7 s."""
MEMORY_BYTES: Final = 1024 * 1024 * 1024
"""The most expensive valid picture, a progressive JPEG of 100 megapixels in four colours, needs 830 MB; HEIC of 64
megapixels 470 MB, with ten bits for each colour 1 GB, others less."""


class Size(msgspec.Struct, frozen=True):
    """A size to render in pixels. The picture fits into it and is never enlarged; cropped, it has exactly this size."""

    name: str
    width: int
    height: int
    is_cropped: bool = False
    encodings: tuple[Encoding, ...] = ("jpeg", "webp")


class RenderJob(msgspec.Struct, frozen=True):
    """The header of a picture, and the sizes to render, from large to small."""

    header: image_headers.Header
    sizes: tuple[Size, ...]
    cpu_seconds: int = CPU_SECONDS
    memory_bytes: int = MEMORY_BYTES


class Rendition(msgspec.Struct, frozen=True, tag=True):
    """One rendered file."""

    size: str
    encoding: Encoding
    width: int
    height: int
    data: bytes

    @property
    def media_type(self) -> str:
        """The media type, for `Content-Type`."""
        return f"image/{self.encoding}"

    @property
    def extension(self) -> str:
        """The extension for file names."""
        return "jpg" if self.encoding == "jpeg" else self.encoding


class RenderedPhoto(msgspec.Struct, frozen=True):
    """The size of a picture in pixels, with its orientation applied, and the files rendered from it."""

    width: int
    height: int
    renditions: tuple[Rendition, ...]


class Finished(msgspec.Struct, frozen=True, tag=True):
    """All renditions were sent; the size of the picture in pixels, with its orientation applied."""

    width: int
    height: int


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """The picture cannot be decoded."""

    reason: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Rendering failed for a reason other than the picture; `error` is the stack trace."""

    error: str


Outcome = Finished | Unreadable | Failed
"""The last message of the child about a picture; each rendition is a message before it."""
