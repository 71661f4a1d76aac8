"""POST /api/v1/posts/uploads: create URLs to upload 1 to 10 files directly to the object store.

A post can be created from the uploads for 45 min (`createPost`). They are deleted after 60 min.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec

from layers.core import limits
from layers.core.errors import UnsupportedImage
from layers.core.files import FileSize, FileType
from layers.core.ids import NewId, derive
from layers.core.models import Shape, Time, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Created
from layers.media import uploads as upload_files
from layers.postgres import uploads
from layers.postgres.connection import transaction


class NewFile(Shape, frozen=True, kw_only=True):
    """The exact size and the media type of a file. More than 10 MiB answers 413, another type 415."""

    size: Annotated[int, msgspec.Meta(ge=1), FileSize()]
    """In bytes."""
    type: Annotated[str, FileType()]


class NewUploads(Shape, frozen=True, kw_only=True):
    """The files. An account can have at most 100 uploads that are not used by a post; more answer 429."""

    files: Annotated[list[NewFile], msgspec.Meta(min_length=1, max_length=limits.POST_FILES)]


class Upload(Shape, frozen=True, kw_only=True):
    """How to upload one file: a request with this method, URL and headers, and the file's bytes as the body.

    The object store answers 403 to another size or type, and after `expiresAt`. Until then an upload can be repeated.
    """

    id: UUID
    method: str = "PUT"
    url: str
    headers: dict[str, str]
    """The headers to send, unchanged."""
    expires_at: Time
    """15 min after the request."""


class Uploads(Shape, frozen=True, kw_only=True):
    """One upload for each file, in the order of the request."""

    uploads: list[Upload]


@endpoint(raises=(UnsupportedImage,))
def handler(body: NewUploads, viewer: Viewer, new: NewId) -> Created[Uploads]:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=limits.UPLOAD_SECONDS)
    new_uploads = [
        uploads.NewUpload(id=derive(new, number), size=file.size, media_type=file.type)
        for number, file in enumerate(body.files)
    ]
    with transaction() as db:
        uploads.begin(db, user_id=viewer.id, uploads=new_uploads, expires_at=expires_at)
    return Created(Uploads(uploads=[_presign(upload, expires_at) for upload in new_uploads]))


def _presign(upload: uploads.NewUpload, expires_at: datetime) -> Upload:
    return Upload(
        id=upload.id,
        url=upload_files.presign_url(
            upload.id, size=upload.size, media_type=upload.media_type, seconds=limits.UPLOAD_SECONDS
        ),
        headers={"Content-Type": upload.media_type},
        expires_at=Time(f"{expires_at:%Y-%m-%dT%H:%M:%S.000Z}"),
    )
