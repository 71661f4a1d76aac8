"""Reads WebP pictures at a fraction of their size, in bounded memory.

Pillow decodes every WebP as an animation: four copies of the whole picture, 1 GiB for 64 megapixels. libwebp, which
comes with Pillow, can scale while it decodes.
https://developers.google.com/speed/webp/docs/api#advanceddecodeapi
"""

import ctypes
import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import PIL
from PIL import Image, ImageFile

_ABI_VERSION: Final = 0x0200
"""libwebp accepts any minor version of its ABI (the lower byte)."""
_RGB, _RGBA = 0, 1
_ANIMATED: Final = 0x02
_FIRST_CHUNK: Final = 12
_MARGIN: Final = 2
"""It is decoded at least so many times as large as needed, and then scaled with a better filter."""


class _Rgba(ctypes.Structure):
    _fields_ = (("pixels", ctypes.c_void_p), ("stride", ctypes.c_int), ("size", ctypes.c_size_t))


class _Yuva(ctypes.Structure):
    _fields_ = (("planes", ctypes.c_void_p * 4), ("strides", ctypes.c_int * 4), ("sizes", ctypes.c_size_t * 4))


class _Planes(ctypes.Union):
    _fields_ = (("rgba", _Rgba), ("yuva", _Yuva))


class _Output(ctypes.Structure):
    _fields_ = (
        *(("mode", ctypes.c_int), ("width", ctypes.c_int), ("height", ctypes.c_int), ("is_external", ctypes.c_int)),
        *(("planes", _Planes), ("padding", ctypes.c_uint32 * 4), ("private_memory", ctypes.c_void_p)),
    )


class _Features(ctypes.Structure):
    _fields_ = (
        *(("width", ctypes.c_int), ("height", ctypes.c_int), ("has_alpha", ctypes.c_int)),
        *(("has_animation", ctypes.c_int), ("format", ctypes.c_int), ("padding", ctypes.c_uint32 * 5)),
    )


class _Options(ctypes.Structure):
    _fields_ = (
        *(("bypass_filtering", ctypes.c_int), ("no_fancy_upsampling", ctypes.c_int), ("crop", ctypes.c_int * 5)),
        *(("use_scaling", ctypes.c_int), ("scaled_width", ctypes.c_int), ("scaled_height", ctypes.c_int)),
        *(("others", ctypes.c_int * 4), ("padding", ctypes.c_uint32 * 5)),
    )


class _Config(ctypes.Structure):
    """WebPDecoderConfig of webp/decode.h."""

    _fields_ = (("features", _Features), ("output", _Output), ("options", _Options))


class StillWebP(ImageFile.ImageFile):
    """A WebP picture; `draft` chooses the size at which it is decoded. Raises `SyntaxError` for an animation."""

    format = "WEBP"

    def _open(self) -> None:
        data = self.fp.read() if self.fp else b""
        config = _Config()
        library = _library()
        if (
            library is None
            or not data.startswith(b"RIFF")
            or not library.WebPInitDecoderConfigInternal(ctypes.byref(config), _ABI_VERSION)
        ):
            raise SyntaxError("not readable by libwebp")
        if library.WebPGetFeaturesInternal(data, len(data), ctypes.byref(config.features), _ABI_VERSION):
            raise SyntaxError("not a WebP file")
        if config.features.has_animation:
            raise SyntaxError("an animation")
        self._data, self._config = data, config
        self._mode = "RGBA" if config.features.has_alpha else "RGB"
        self._size = config.features.width, config.features.height
        self.tile = []
        for name, content in _chunks(data):
            if key := {b"ICCP": "icc_profile", b"EXIF": "exif"}.get(name):
                self.info.setdefault(key, content)

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> None:  # noqa: ARG002 (Pillow's signature)
        """Decode it not much larger than this; to be called before `load`."""
        divisor = divisor_for(self.size, size or self.size)
        self._size = -(-self.width // divisor), -(-self.height // divisor)

    def load(self) -> Any:
        """Decode it; raises `OSError`."""
        if self._data:
            self.im = self._decode(_library()).im
            self._data = b""
        return super().load()

    def _decode(self, library: Any) -> Image.Image:
        config = self._config
        config.output.mode = _RGBA if self.mode == "RGBA" else _RGB
        config.options.use_scaling = self.size != (config.features.width, config.features.height)
        config.options.scaled_width, config.options.scaled_height = self.size
        failure = library.WebPDecode(self._data, len(self._data), ctypes.byref(config))
        try:
            if failure:
                raise OSError(f"libwebp reports {failure}")
            rgba = config.output.planes.rgba
            pixels = ctypes.string_at(rgba.pixels, rgba.stride * self.height)
            return Image.frombytes(self.mode, self.size, pixels, "raw", self.mode, rgba.stride, 1)
        finally:
            library.WebPFreeDecBuffer(ctypes.byref(config.output))


def divisor_for(size: tuple[int, int], wanted: tuple[int, int]) -> int:
    """By what a picture may be divided so that it is still twice as large as wanted; at least 1."""
    return max(1, min(full // (_MARGIN * least) for full, least in zip(size, wanted, strict=True)))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk of the file."""
    at = _FIRST_CHUNK
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


@functools.cache
def _library() -> Any:
    """Load libwebp as Pillow's wheel brings it; None if Pillow was built in another way."""
    folder = Path(PIL.__file__).parents[1] / "pillow.libs"
    found = next((path for path in folder.glob("libwebp-*.so*")), None)
    return ctypes.CDLL(str(found)) if found else None
