"""JPEG files of the load, about as many bytes per pixel as a phone's: made once, kept in the cache."""

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from PIL import Image, ImageChops, ImageDraw

from infra.stack.profiles import cache

type Kind = Literal["12mp", "1mp"]

_SIZES: Final = {"12mp": (4000, 3000, 2_000_000), "1mp": (1200, 900, 250_000)}
"""Width, height, bytes at most."""
_NUMBER: Final = 4
_SMALLEST_CELL: Final = 4
_GRAIN: Final = 6
_RECTANGLES: Final = 40


def read_pictures(kind: Kind) -> list[bytes]:
    """Different pictures of a kind."""
    folder = cache() / "bench" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    return [_read(folder / f"{kind}-{number}.jpg", kind, number) for number in range(_NUMBER)]


def with_comment(picture: bytes, text: str) -> bytes:
    """The picture with a comment segment: a file that was never uploaded before."""
    comment = text.encode()
    return picture[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + picture[2:]


def _read(file: Path, kind: Kind, number: int) -> bytes:
    if not file.exists():
        width, height, size = _SIZES[kind]
        file.write_bytes(_encode(_draw(width, height, random.Random(number)), size))
    return file.read_bytes()


def _draw(width: int, height: int, chance: random.Random) -> Image.Image:
    """Coarse to fine noise, edges and grain: the share of each in a photo."""
    picture = Image.new("RGB", (width, height), tuple(chance.randrange(80, 180) for _ in range(3)))
    cell, share = width // 3, 0.5
    while cell >= _SMALLEST_CELL:
        picture = Image.blend(picture, _noise(width, height, cell), share)
        cell, share = cell // 2, share * 0.7
    pen = ImageDraw.Draw(picture)
    for _ in range(_RECTANGLES):
        left, top = chance.randrange(width), chance.randrange(height)
        right, bottom = left + chance.randrange(width // 60, width // 8), top + chance.randrange(9, height // 5)
        pen.rectangle((left, top, right, bottom), fill=tuple(chance.randrange(256) for _ in range(3)))
    grain = Image.effect_noise((width, height), _GRAIN)
    return ImageChops.add(picture, Image.merge("RGB", [grain] * 3), scale=1, offset=-128)


def _noise(width: int, height: int, cell: int) -> Image.Image:
    size = (width // cell + 2, height // cell + 2)
    coarse = Image.merge("RGB", [Image.effect_noise(size, 90) for _ in range(3)])
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def _encode(picture: Image.Image, size: int) -> bytes:
    """The JPEG of the best quality that is not larger than `size`."""
    qualities: Sequence[int] = range(96, 30, -3)
    for quality in qualities:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
        if file.tell() <= size:
            break
    return file.getvalue()
