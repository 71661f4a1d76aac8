"""Uploaded files as pictures, identified by their headers before anything is done with them."""

import contextlib
from collections.abc import Iterator, Sequence

import msgspec

from layers.core.errors import BadPicture
from layers.core.files import File
from layers.media import image_headers


class Picture(msgspec.Struct, frozen=True):
    """A file whose header is that of a picture within the limits; its pixels may still be damaged."""

    file: File
    header: image_headers.Header


def identify(file: File) -> Picture:
    """The file as a picture, from its header alone; nothing is decoded.

    A refusal names the file and its form field: `UnsupportedImage` for anything but JPEG, PNG, WebP and HEIC,
    `ImageTooLarge` for too many pixels, `UnreadableImage` for a damaged header.
    """
    with errors_of(file):
        return Picture(file, image_headers.probe(file.data))


def identify_all(files: Sequence[File]) -> list[Picture]:
    """As `identify`, in order."""
    return [identify(file) for file in files]


@contextlib.contextmanager
def errors_of(file: File) -> Iterator[None]:
    """Errors of a picture in this block are errors of this file: the refusal names the file and its form field."""
    try:
        yield
    except BadPicture as error:
        raise type(error)(f"{file.name or file.field}: {error}", file=file.field) from None
