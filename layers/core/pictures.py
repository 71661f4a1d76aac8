"""What a form's pictures must be before anything is done with them: so many, not empty, of a type we read."""

import contextlib
from collections.abc import Iterator, Sequence

import msgspec

from layers.core import images
from layers.core.errors import BadPicture, Invalid
from layers.core.multipart import File


class Picture(msgspec.Struct, frozen=True):
    """An uploaded file whose header says that it is a picture within the limits; its pixels may still be damaged."""

    file: File
    header: images.Header


def accepted(files: Sequence[File], *, at_least: int, at_most: int) -> list[Picture]:
    """The files as pictures, in order; read from their headers alone, nothing is decoded.

    A refusal names the file and its form field: `Invalid` for a wrong number and for an empty file,
    `UnsupportedImage` for anything but JPEG, PNG, WebP and HEIC, `ImageTooLarge` for too many pixels,
    `UnreadableImage` for a damaged header. Size in bytes was checked while the form was read.
    """
    given = [file for file in files if file.name or file.data]  # an empty file input is sent as a nameless empty part
    if not at_least <= len(given) <= at_most:
        wanted = "exactly 1 picture" if at_most == 1 else f"{at_least} to {at_most} pictures"
        raise Invalid.field(given[0].field if given else "media", f"{wanted}, not {len(given)}")
    return [Picture(file, _header(file)) for file in given]


@contextlib.contextmanager
def blaming(file: File) -> Iterator[None]:
    """Whatever is wrong with a picture in here is wrong with this file: the refusal names it and its form field."""
    try:
        yield
    except BadPicture as error:
        raise type(error)(f"{file.name or file.field}: {error}", file=file.field) from None


def _header(file: File) -> images.Header:
    if not file.data:
        raise Invalid.field(file.field, f"{file.name or file.field}: the file is empty")
    with blaming(file):
        return images.probe(file.data)
