"""Uploaded files as pictures, checked by their headers before they are processed."""

import contextlib
from collections.abc import Iterator, Sequence

import msgspec

from layers.core.errors import BadPicture
from layers.core.files import File
from layers.media import image_headers


class Picture(msgspec.Struct, frozen=True):
    """A file with the header of a picture within the limits; its pixels may still be damaged."""

    file: File
    header: image_headers.Header


def identify(file: File) -> Picture:
    """Check the header of a file; nothing is decoded.

    Errors name the file and its form field: `UnsupportedImage` for anything but JPEG, PNG, WebP and HEIC,
    `ImageTooLarge` for too many pixels, `UnreadableImage` for a damaged header.
    """
    with errors_of(file):
        return Picture(file, image_headers.probe(file.data))


def identify_all(files: Sequence[File]) -> list[Picture]:
    """Check the headers of several files, in order; raises as `identify`."""
    return [identify(file) for file in files]


@contextlib.contextmanager
def errors_of(file: File) -> Iterator[None]:
    """Add the name of the file and its form field to errors of pictures that the block raises."""
    try:
        yield
    except BadPicture as error:
        raise type(error)(f"{file.name or file.field}: {error}", file=file.field) from None
