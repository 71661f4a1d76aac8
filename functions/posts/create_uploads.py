"""POST /api/v1/posts/uploads: URLs that take 1 to 10 files straight into the object store, for a post to come."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec

from layers.core import limits
from layers.core.endpoint import endpoint
from layers.core.errors import FieldError, FileTooLarge, UnsupportedImage
from layers.core.ids import NewId, part_of
from layers.core.models import Shape, Time, Viewer
from layers.core.response import Created
from layers.media import uploads as files
from layers.postgres import uploads
from layers.postgres.connection import transaction


class NewFile(Shape, frozen=True, kw_only=True):
    """What is to be sent: exactly so many bytes (more than 10 MiB: 413), declared as that type (another: 415)."""

    size: Annotated[int, msgspec.Meta(ge=1, extra_json_schema={"maximum": limits.FILE_BYTES})]
    type: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(limits.FILE_TYPES)})]


class NewUploads(Shape, frozen=True, kw_only=True):
    """The files, in the order of the answer; of one account 100 may wait for their posts, more are 429."""

    files: Annotated[list[NewFile], msgspec.Meta(min_length=1, max_length=limits.POST_FILES)]


class Upload(Shape, frozen=True, kw_only=True):
    """How to send one file: this method, this URL, these headers, and its bytes as the body; once or again, but with
    neither another length nor after `expires_at`, which is 403. A post may be made of it for 45 min.
    """

    id: UUID
    method: str = "PUT"
    url: str
    headers: dict[str, str]
    """To be sent as they are."""
    expires_at: Time


class Uploads(Shape, frozen=True, kw_only=True):
    """One for each file, in order."""

    uploads: list[Upload]


@endpoint(raises=(UnsupportedImage,))
def handler(body: NewUploads, viewer: Viewer, new: NewId) -> Created[Uploads]:
    for number, file in enumerate(body.files):
        _check(file, f"files[{number}]")
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=limits.UPLOAD_SECONDS)
    begun = [
        uploads.NewUpload(id=part_of(new, number), size=file.size, media_type=file.type)
        for number, file in enumerate(body.files)
    ]
    with transaction() as db:
        uploads.begin(db, user_id=viewer.id, uploads=begun, expires_at=ends)
    return Created(Uploads(uploads=[_signed(upload, ends) for upload in begun]))


def _check(file: NewFile, place: str) -> None:
    if file.size > limits.FILE_BYTES:
        refusal = f"{file.size} bytes are more than {limits.FILE_BYTES} (10 MiB)"
        raise FileTooLarge(f"{place}.size: {refusal}", errors=(FieldError(f"{place}.size", refusal),))
    if file.type not in limits.FILE_TYPES:
        raise UnsupportedImage(f"{place}.type: one of {', '.join(limits.FILE_TYPES)}", file=f"{place}.type")


def _signed(upload: uploads.NewUpload, ends: datetime) -> Upload:
    return Upload(
        id=upload.id,
        url=files.url(upload.id, size=upload.size, media_type=upload.media_type, seconds=limits.UPLOAD_SECONDS),
        headers={"Content-Type": upload.media_type},
        expires_at=Time(f"{ends:%Y-%m-%dT%H:%M:%S.000Z}"),
    )
