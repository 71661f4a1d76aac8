"""The files of posts in the object store: originals and renditions."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from urllib.parse import unquote_plus
from uuid import UUID

import msgspec

from layers.core import trace
from layers.core.errors import Invalid, StoreUnavailable
from layers.core.ids import time_of
from layers.core.logging import logger
from layers.core.models import SIZES, rendition_key
from layers.media import connection
from layers.media.connection import ObjectCopy, StoredFile
from layers.media.image_headers import Header
from layers.media.pictures import Picture
from layers.media.render_jobs import Rendition

TRACE_METADATA: Final = "trace-id"
"""The name of the metadata with the trace id; notifications of the store have it as `X-Amz-Meta-Trace-Id`."""

_EXTENSIONS: Final = ("jpg", "webp")
_ORIGINAL: Final = re.compile(r"originals/\d{4}/\d\d/\d\d/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d{1,2})\.\w+")


class PictureRef(msgspec.Struct, frozen=True):
    """A picture of a post."""

    post_id: UUID
    order_index: int


def parse_original_key(original_key: str) -> PictureRef:
    """The picture to which an original belongs; raises `ValueError` for any other key."""
    found = _ORIGINAL.fullmatch(original_key)
    if found is None:
        raise ValueError(f"{original_key} is not the key of an original")
    return PictureRef(UUID(found[1]), int(found[2]))


class _Bucket(msgspec.Struct, frozen=True):
    name: str


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    key: str
    size: int = 0
    user_metadata: dict[str, str] = {}


class _Entity(msgspec.Struct, frozen=True):
    bucket: _Bucket
    object: _Object


class _Record(msgspec.Struct, frozen=True):
    s3: _Entity


class UploadNotification(msgspec.Struct, frozen=True):
    """A notification of the store that an original was stored, in the format of MinIO and S3."""

    records: tuple[_Record, ...] = msgspec.field(name="Records")

    @property
    def original_key(self) -> str:
        """The key of the object, which the notification has in URL encoding."""
        return unquote_plus(self._entity.object.key)

    @property
    def picture(self) -> PictureRef:
        """The picture; raises `ValueError` if the object is not an original."""
        return parse_original_key(self.original_key)

    @property
    def size(self) -> int:
        """The size of the object in bytes."""
        return self._entity.object.size

    @property
    def trace_id(self) -> str | None:
        """The trace id of the request that stored the object."""
        metadata = {name.lower(): value for name, value in self._entity.object.user_metadata.items()}
        return metadata.get(f"x-amz-meta-{TRACE_METADATA}")

    @property
    def _entity(self) -> _Entity:
        return self.records[0].s3


def original_key(post_id: UUID, order_index: int, header: Header) -> str:
    """The key of a picture's original; the folder is the day on which the post's id was created."""
    return f"originals/{time_of(post_id):%Y/%m/%d}/{post_id}-{order_index}.{header.extension}"


def original_files(post_id: UUID, pictures: Sequence[Picture]) -> list[StoredFile]:
    """The originals to store for these pictures, in order."""
    return [
        StoredFile(
            key=original_key(post_id, order_index, picture.header),
            data=picture.file.data,
            media_type=picture.header.media_type,
        )
        for order_index, picture in enumerate(pictures)
    ]


def put_originals(files: Sequence[StoredFile]) -> None:
    """Store originals, which starts their processing.

    Raises `StoreUnavailable`; then the ones already stored are removed, as far as the store allows it.
    """
    with _remove_on_failure([file.key for file in files]):
        connection.put_all(files, metadata=_metadata())


def copy_originals(copies: Sequence[ObjectCopy]) -> None:
    """Store originals as copies of uploads. Raises as `put_originals`, and `Invalid` if an upload has changed."""
    with _remove_on_failure([copy.key for copy in copies]):
        if not connection.copy_all(copies, metadata=_metadata()):
            raise Invalid.field("uploads", "a file was sent again while the post was being created")


@contextlib.contextmanager
def _remove_on_failure(keys: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(StoreUnavailable):
            connection.remove(keys)
        raise


def _metadata() -> dict[str, str]:
    trace_id = trace.trace_id.get()
    return {TRACE_METADATA: trace_id} if trace_id else {}


def are_stored(original_keys: Sequence[str]) -> bool:
    """Whether all of these originals are stored. Raises `StoreUnavailable`."""
    return all(connection.exists(key) for key in original_keys)


def read_original(key: str) -> bytes | None:
    """The content of an original; None if it is not stored. Raises `StoreUnavailable`."""
    return connection.get(key)


@contextlib.contextmanager
def storing(post_id: UUID, order_index: int) -> Iterator[Callable[[Rendition], None]]:
    """A function that begins to store a rendition of a picture; at the end of the block, all are stored.

    May be repeated. Raises `StoreUnavailable` at the end of the block; then some may have been stored. nginx sets the
    caching headers, by the expiry of each link.
    """
    with connection.Puts() as puts:

        def store(rendition: Rendition) -> None:
            key = rendition_key(post_id, order_index, rendition.size, rendition.extension)
            puts.put(StoredFile(key=key, data=rendition.data, media_type=rendition.media_type))

        yield store


def all_keys(post_id: UUID, original_keys: Sequence[str]) -> list[str]:
    """The keys of all objects that a post may have."""
    return list(original_keys) + [
        key for order_index in range(len(original_keys)) for key in rendition_keys(post_id, order_index)
    ]


def rendition_keys(post_id: UUID, order_index: int) -> list[str]:
    """The keys of all renditions of a picture."""
    return [rendition_key(post_id, order_index, size, extension) for size in SIZES for extension in _EXTENSIONS]


def remove_files(post_id: UUID, original_keys: Sequence[str]) -> bool:
    """Remove all files of a post that are stored; False if the store is unavailable."""
    return _try_remove(post_id, all_keys(post_id, original_keys))


def remove_picture(post_id: UUID, order_index: int, original_key: str) -> None:
    """Remove the files of one picture, which were stored after its post was removed.

    If the store is unavailable, they stay until the sweeper removes all files of the post.
    """
    _try_remove(post_id, [original_key, *rendition_keys(post_id, order_index)])


def _try_remove(post_id: UUID, keys: Sequence[str]) -> bool:
    try:
        connection.remove(keys)
    except StoreUnavailable:
        logger().warning("files not removed yet", post_id=str(post_id))
        return False
    return True
