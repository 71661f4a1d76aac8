"""Uploads: files that clients send straight to the object store with presigned URLs, to be used by a post."""

import contextlib
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from layers.core import limits
from layers.core.errors import BadPicture, FieldError, FileTooLarge, Invalid, StoreUnavailable, UnreadableImage
from layers.core.logging import logger
from layers.media import connection, image_headers, photos
from layers.media.connection import ObjectCopy, ObjectStart

_START_BYTES: Final = 64 * 1024


class StoredUpload(msgspec.Struct, frozen=True):
    """An upload that is stored, and whose header is that of a picture within the limits."""

    id: UUID
    etag: str
    header: image_headers.Header


def key(upload_id: UUID) -> str:
    """The key of an upload; it is under no prefix that is served or that causes notifications."""
    return f"uploads/{upload_id}"


def presign_url(upload_id: UUID, *, size: int, media_type: str, seconds: int) -> str:
    """The URL for PUT; the store accepts exactly `size` bytes of this type, for `seconds`."""
    return connection.presign_put(key(upload_id), size=size, media_type=media_type, seconds=seconds)


def inspect(upload_ids: Sequence[UUID]) -> list[StoredUpload]:
    """Check the stored files of uploads, in order, by their content and not by their declared size and type.

    Errors name the upload: `Invalid` for one that was not sent, `FileTooLarge`, `UnsupportedImage`, `ImageTooLarge`,
    `UnreadableImage`. Raises `StoreUnavailable`.
    """
    starts = connection.read_starts([key(upload_id) for upload_id in upload_ids], size=_START_BYTES)
    return [_check_upload(upload_id, start) for upload_id, start in zip(upload_ids, starts, strict=True)]


def copies(post_id: UUID, uploads: Sequence[StoredUpload]) -> list[ObjectCopy]:
    """The copies that make uploads the originals of a post, in order."""
    return [
        ObjectCopy(
            source_key=key(upload.id),
            etag=upload.etag,
            key=photos.original_key(post_id, order_index, upload.header),
            media_type=upload.header.media_type,
        )
        for order_index, upload in enumerate(uploads)
    ]


def move(files: Sequence[ObjectCopy]) -> None:
    """Move uploads to the keys of originals, which starts their processing.

    Uploads that cannot be removed after the copying are removed by the cleanup. Raises as `photos.copy_originals`; then
    the uploads stay.
    """
    photos.copy_originals(files)
    try:
        connection.remove([file.source_key for file in files])
    except StoreUnavailable:
        logger().warning("uploads not removed yet")


def remove(upload_ids: Sequence[UUID]) -> None:
    """Remove the files of these uploads. Raises `StoreUnavailable`; then some may have been removed."""
    connection.remove([key(upload_id) for upload_id in upload_ids])


def _check_upload(upload_id: UUID, start: ObjectStart | None) -> StoredUpload:
    if start is None:
        raise Invalid.field("uploads", f"{upload_id}: no file was sent for it")
    if start.size > limits.FILE_BYTES:
        refusal = f"{upload_id}: {start.size} bytes are more than {limits.FILE_BYTES} (10 MiB)"
        raise FileTooLarge(refusal, errors=(FieldError("uploads", refusal),))
    try:
        header = _header(upload_id, start)
    except BadPicture as error:
        raise type(error)(f"{upload_id}: {error}", file="uploads") from None
    return StoredUpload(id=upload_id, etag=start.etag, header=header)


def _header(upload_id: UUID, start: ObjectStart) -> image_headers.Header:
    """The header, from the first bytes if they suffice; HEIC and JPEG may have the size further on."""
    is_whole = start.size == len(start.data)
    with contextlib.nullcontext() if is_whole else contextlib.suppress(UnreadableImage):
        header = image_headers.probe(start.data)
        if is_whole or header.format != "heic":
            return header
    return image_headers.probe(connection.get(key(upload_id)) or b"")
