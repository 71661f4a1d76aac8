"""Decoding, scaling and encoding of pictures, in the child process. Only this module imports Pillow."""

import contextlib
import ctypes
import functools
import io
import math
import os
import resource
import select
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec
from PIL import Image, ImageCms

from layers.core.errors import UnreadableImage
from layers.media import image_headers
from layers.media.render_jobs import (
    FRAME,
    Encoding,
    Failed,
    Finished,
    Outcome,
    RenderJob,
    Rendition,
    Size,
    Unreadable,
)
from layers.media.scaling import scale
from layers.media.webp_file import StillWebP, divisor_for

if TYPE_CHECKING:
    from collections.abc import Sequence

JPEG_QUALITY: Final = 82
WEBP_QUALITY: Final = 78
WEBP_METHOD: Final = 0
"""The fastest of 0 to 6. Compared with method 2 and quality 80, it takes 0.6 times the time, files are a tenth larger,
and the PSNR is 0.2 dB lower, which is not visible (docs/performance.md).
"""
PROFILE_BYTES: Final = 4096
"""A larger colour profile would be larger than a thumbnail; such pictures are converted to sRGB (R-M3)."""

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
_RETAINED_BYTES: Final = 32 * 1024 * 1024
"""Memory that the allocator keeps between pictures: one scaled decode of a phone's photo needs 12 MiB."""
_IDLE_MS: Final = 1000
"""After so long without a picture, that memory is given back too."""
_NICENESS: Final = 10
"""Decoding yields the CPU to requests, in whatever host; less would make slow pictures exceed their time under load."""
_ENCODERS: Final = 2
"""Threads that encode: one large WebP takes as long as all other renditions of a photo together."""
_STACK_BYTES: Final = 1024 * 1024
_STRIP_ROWS: Final = 32
_ANIMATION_PIXELS: Final = 25_000_000
"""Pillow needs 16 bytes for each pixel of an animated WebP."""


def serve() -> None:
    """Answer the render jobs that arrive on the socket at standard input, one at a time, until the host closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the host, and the end of the host ends this process
    with contextlib.suppress(OSError):
        # If memory runs out, the kernel ends this process and not the host.
        Path("/proc/self/oom_score_adj").write_text("900")
    with contextlib.suppress(AttributeError):  # glibc only; without this, page faults take a tenth of the CPU time
        ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, _RETAINED_BYTES)
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _RETAINED_BYTES // 2)
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)  # further ones would take address space from the limit of memory
    _limit(resource.RLIMIT_CORE, 0)
    os.nice(max(0, _NICENESS - os.nice(0)))
    Image.MAX_IMAGE_PIXELS = None  # `image_headers.probe` has checked the number of pixels
    decoder = msgspec.msgpack.Decoder(RenderJob)
    with socket.socket(fileno=0) as host, host.makefile("rb") as jobs, contextlib.suppress(ConnectionError):
        while frame := _wait_for_frame(host, jobs):
            job_length, data_length = FRAME.unpack(frame)
            job, data = decoder.decode(jobs.read(job_length)), jobs.read(data_length)
            if len(data) < data_length:
                return
            _limit(resource.RLIMIT_AS, job.memory_bytes)
            _limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + job.cpu_seconds)
            _send(host, _answer(data, job, functools.partial(_send, host)))
            del data  # so that it is not in memory until the next job


def _wait_for_frame(host: socket.socket, jobs: BinaryIO) -> bytes:
    """The head of the next job; empty at the end. While none comes, the memory of earlier ones goes back to the system.

    The host sends a job after the answer to the last one, so nothing of it was read before.
    """
    poll = select.poll()
    poll.register(host, select.POLLIN)
    if not poll.poll(_IDLE_MS):
        with contextlib.suppress(AttributeError):  # glibc only
            ctypes.CDLL(None).malloc_trim(0)
    return jobs.read(FRAME.size)


def _send(host: socket.socket, message: Rendition | Outcome) -> None:
    content = msgspec.msgpack.encode(message)
    host.sendall(FRAME.pack(len(content), 0))
    host.sendall(content)


def _limit(kind: int, maximum: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (maximum if hard == resource.RLIM_INFINITY else min(maximum, hard), hard))


def _answer(data: bytes, job: RenderJob, send: Callable[[Rendition], object]) -> Outcome:
    try:
        return render(data, job, send)
    except UnreadableImage as error:
        return Unreadable(str(error))
    except ConnectionError:
        raise
    except Exception:  # noqa: BLE001 (the host raises it)
        return Failed(traceback.format_exc())


def render(data: bytes, job: RenderJob, send: Callable[[Rendition], object]) -> Finished:
    """Send the picture in all sizes of the job, upright and without metadata; raises `UnreadableImage`.

    Several threads encode at once, and each file is sent when it is ready.
    """
    picture, size, profile = _decode(data, job)
    files: dict[Future[bytes], list[tuple[str, Encoding, int, int]]] = {}
    made: dict[tuple[Encoding, tuple[int, int]], Future[bytes]] = {}
    for wanted in job.sizes:
        smaller = _crop(picture, wanted) if wanted.is_cropped else scale(picture, _fitted_size(size, wanted))
        for encoding in wanted.encodings:
            same = None if wanted.is_cropped else made.get((encoding, smaller.size))
            content = same or _encoders().submit(_encode, smaller, encoding, profile)
            files.setdefault(content, []).append((wanted.name, encoding, *smaller.size))
            if not wanted.is_cropped:
                made[encoding, smaller.size] = content  # for smaller sizes, if the picture is not larger than they are
        if not wanted.is_cropped:
            picture = smaller
    for content in as_completed(files):
        for file in files[content]:
            send(Rendition(*file, content.result()))
    return Finished(*size)


@functools.cache
def _encoders() -> ThreadPoolExecutor:
    threading.stack_size(_STACK_BYTES)  # stacks count towards the limit of memory
    return ThreadPoolExecutor(_ENCODERS)


# ── Decoding ────────────────────────────────────────────────────────────────


def _decode(data: bytes, job: RenderJob) -> tuple[Image.Image, tuple[int, int], bytes | None]:
    """The picture, upright, in RGB and as small as the largest size allows; its full size; its colour profile.

    It is decoded at reduced scale, then scaled, and then turned: the order with the fewest pixels. Any error becomes
    `UnreadableImage`, because libraries raise all kinds of exceptions for damaged files.
    """
    try:
        with _open(data, job) as source:
            turn = _turn(source, job)
            stored = source.size
            smallest = _decoded_size(_turned_size(stored, turn), job.sizes)
            target = _turned_size(smallest, turn)
            source.draft(None, target)  # of JPEG and WebP; others cannot be decoded at a fraction
            source.load()
            profile = source.info.get("icc_profile")
            picture, profile = _to_rgb(scale(_reduce(source, target), target), profile)
    except MemoryError:
        raise UnreadableImage("Decoding the picture would take too much memory.") from None
    except UnreadableImage:
        raise
    except Exception as error:
        raise UnreadableImage from error
    return (picture.transpose(turn) if turn is not None else picture), _turned_size(stored, turn), profile


def _open(data: bytes, job: RenderJob) -> Image.Image:
    if job.header.format == "heic":
        _register_heif()
    source = _open_file(data, job.header.format)
    if source.width * source.height > job.header.width * job.header.height:
        raise UnreadableImage("The picture is larger than its header says.")
    return source


def _open_file(data: bytes, format_: image_headers.Format) -> Image.Image:
    if format_ == "webp":
        with contextlib.suppress(SyntaxError):
            return StillWebP(io.BytesIO(data))
    source = Image.open(io.BytesIO(data), formats=["HEIF" if format_ == "heic" else format_.upper()])
    if format_ == "webp" and source.width * source.height > _ANIMATION_PIXELS:
        raise UnreadableImage("The animation has too many pixels.")
    return source


@functools.cache
def _register_heif() -> None:
    import pi_heif  # noqa: PLC0415 (a large library that most pictures do not need)

    pi_heif.register_heif_opener(thumbnails=False)


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
_SWAPPING_TURNS: Final = frozenset({_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]})


def _turn(source: Image.Image, job: RenderJob) -> Image.Transpose | None:
    """The operation that makes the picture upright (R-M3), from its EXIF data; damaged EXIF data are ignored."""
    if job.header.format == "heic":
        return None  # the decoder turns the picture itself
    exif = Image.Exif()
    with contextlib.suppress(Exception):
        exif.load(source.info.get("exif") or b"")
        return _TURNS.get(exif.get(_ORIENTATION, 1))
    return None


def _turned_size(size: tuple[int, int], turn: Image.Transpose | None) -> tuple[int, int]:
    return (size[1], size[0]) if turn in _SWAPPING_TURNS else size


def _reduce(source: Image.Image, target: tuple[int, int]) -> Image.Image:
    """The picture in a mode that can be scaled; a large one at a whole fraction of its size, but twice the target.

    A large one is converted strip by strip, so that no second copy of its full size is in memory.
    """
    divisor = divisor_for(source.size, target)
    if divisor == 1:
        return _to_scalable_mode(source)
    reduced: Image.Image | None = None
    rows = divisor * _STRIP_ROWS
    for top in range(0, source.height, rows):
        strip = source.crop((0, top, source.width, min(top + rows, source.height)))
        part = _to_scalable_mode(strip).reduce(divisor)
        reduced = reduced or Image.new(part.mode, (part.width, -(-source.height // divisor)))
        reduced.paste(part, (0, top // divisor))
    assert reduced  # noqa: S101 (a picture has rows)
    return reduced


def _to_scalable_mode(source: Image.Image) -> Image.Image:
    """The picture in a mode that can be scaled: RGB, RGBA, L or CMYK."""
    match source.mode:
        case _ if "transparency" in source.info:
            return source.convert("RGBA")
        case "RGB" | "RGBA" | "L" | "CMYK":
            return source
        case "1":
            return source.convert("L")
        case "I" | "I;16" | "I;16B" | "I;16L":  # 16-bit grey
            return source.convert("I").point(lambda value: value * (1 / 256)).convert("L")
        case "LA" | "La" | "PA" | "RGBa":
            return source.convert("RGBA")
        case _:
            return source.convert("RGB")


def _to_rgb(picture: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """The picture in RGB on white, with its colour profile if that is small and for RGB; otherwise in sRGB."""
    if picture.mode == "RGBA":
        background = Image.new("RGB", picture.size, "white")
        background.paste(picture, mask=picture)
        picture = background
    if not profile:
        return picture.convert("RGB"), None
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space.strip() == picture.mode == "RGB" and len(profile) <= PROFILE_BYTES:
            return picture, profile
        converted = ImageCms.profileToProfile(picture, opened, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):  # the profile is damaged or of another colour space
        return picture.convert("RGB"), None
    return converted or picture, None


# ── Sizes ───────────────────────────────────────────────────────────────────


def _fitted_size(size: tuple[int, int], wanted: Size) -> tuple[int, int]:
    """The largest size that fits into the wanted one; never enlarged."""
    return _scaled_size(size, min(1, wanted.width / size[0], wanted.height / size[1]))


def _decoded_size(size: tuple[int, int], sizes: "Sequence[Size]") -> tuple[int, int]:
    """The smallest size from which all sizes can be made; never enlarged."""
    scales = [(wanted.width / size[0], wanted.height / size[1]) for wanted in sizes]
    needed = [max(scale) if wanted.is_cropped else min(scale) for scale, wanted in zip(scales, sizes, strict=True)]
    return _scaled_size(size, min(1, max(needed)))


def _scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _crop(picture: Image.Image, wanted: Size) -> Image.Image:
    """The middle of the picture in exactly this size."""
    part = min(picture.width / wanted.width, picture.height / wanted.height)
    width, height = _scaled_size((wanted.width, wanted.height), part)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return scale(picture.crop((left, top, left + width, top + height)), (wanted.width, wanted.height))


# ── Encoding ────────────────────────────────────────────────────────────────


def _encode(picture: Image.Image, encoding: Encoding, profile: bytes | None) -> bytes:
    """The encoded file. Pillow writes the metadata in `info`, so that is cleared first (R-M3)."""
    picture = picture.copy()  # `save` keeps its arguments in the object, and another thread may be saving this picture
    picture.info = {}
    file = io.BytesIO()
    if encoding == "jpeg":
        picture.save(file, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0", icc_profile=profile or b"")
    else:
        picture.save(file, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD, icc_profile=profile or b"")
    return file.getvalue()
