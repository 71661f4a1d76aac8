"""Files that people send straight to the object store, by presigned URLs, until a post takes them."""

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
    """An upload that the store has; its header says that it is a picture within the limits."""

    id: UUID
    etag: str
    header: image_headers.Header


def key(upload_id: UUID) -> str:
    """Where an upload lies: outside of all that is ever served, and nobody is told when it comes."""
    return f"uploads/{upload_id}"


def presign_url(upload_id: UUID, *, size: int, media_type: str, seconds: int) -> str:
    """Where to PUT it; the store takes exactly so many bytes of that type, for so long."""
    return connection.presign_put(key(upload_id), size=size, media_type=media_type, seconds=seconds)


def inspect(upload_ids: Sequence[UUID]) -> list[StoredUpload]:
    """The uploads as pictures, in order; what was declared of them does not count.

    A refusal names the upload: `Invalid` for one that never came, `FileTooLarge`, `UnsupportedImage`, `ImageTooLarge`,
    `UnreadableImage`. Raises `StoreUnavailable`.
    """
    starts = connection.read_starts([key(upload_id) for upload_id in upload_ids], size=_START_BYTES)
    return [_check_upload(upload_id, start) for upload_id, start in zip(upload_ids, starts, strict=True)]


def copies(post_id: UUID, uploads: Sequence[StoredUpload]) -> list[ObjectCopy]:
    """The uploads as they become the originals of a post, in order."""
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
    """Make them originals, which starts their processing; what cannot be removed then is left to the cleanup.

    Raises as `photos.copy_originals`; then none has moved.
    """
    photos.copy_originals(files)
    try:
        connection.remove([file.source_key for file in files])
    except StoreUnavailable:
        logger().warning("uploads not removed yet")


def remove(upload_ids: Sequence[UUID]) -> None:
    """Remove the files of these uploads, whichever are there. Raises `StoreUnavailable`; some may be gone."""
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
    """From the first bytes, if they reach: a HEIC picture may name its size, and a JPEG begin, further on."""
    is_whole = start.size == len(start.data)
    with contextlib.nullcontext() if is_whole else contextlib.suppress(UnreadableImage):
        header = image_headers.probe(start.data)
        if is_whole or header.format != "heic":
            return header
    return image_headers.probe(connection.get(key(upload_id)) or b"")
