"""A post's files: originals as uploaded, and the renditions made of them."""

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import UUID

import msgspec

from layers.core import images, trace
from layers.core.errors import PhotogramError
from layers.core.ids import time_of
from layers.core.models import SIZES, rendition_key
from layers.core.pictures import Picture
from layers.media import connection, renditions

FAILED: Final = "The picture could not be processed."
TRACE_METADATA: Final = "trace-id"

_CACHING: Final = "public, max-age=31536000, immutable"
_KEY: Final = re.compile(r"originals/\d{4}/\d\d/\d\d/([0-9a-f-]{36})-(\d)\.\w+")


class OriginalMissing(PhotogramError):
    """The uploaded file is not there."""


class Size(msgspec.Struct, frozen=True):
    """A picture's size in pixels, upright."""

    width: int
    height: int


class Original(msgspec.Struct, frozen=True):
    """An uploaded file and where it is to lie."""

    key: str
    data: bytes
    content_type: str


class _Object(msgspec.Struct, frozen=True):
    key: str
    user_metadata: dict[str, str] = msgspec.field(name="userMetadata", default={})


class _S3(msgspec.Struct, frozen=True):
    object: _Object


class _Record(msgspec.Struct, frozen=True):
    s3: _S3


class Uploaded(msgspec.Struct, frozen=True):
    """MinIO's own words on a new original, as its notification brings them."""

    records: list[_Record] = msgspec.field(name="Records")

    @property
    def key(self) -> str:
        """The object's key; the notification escapes it as URLs do."""
        return unquote_plus(self.records[0].s3.object.key)

    @property
    def post_id(self) -> UUID:
        """The post it belongs to."""
        return UUID(self._parts[1])

    @property
    def order_index(self) -> int:
        """Its place in the post."""
        return int(self._parts[2])

    @property
    def trace_id(self) -> str | None:
        """The trace id of the upload."""
        metadata: dict[str, Any] = {
            name.lower(): value for name, value in self.records[0].s3.object.user_metadata.items()
        }
        return metadata.get(f"x-amz-meta-{TRACE_METADATA}")

    @property
    def _parts(self) -> re.Match[str]:
        found = _KEY.fullmatch(self.key)
        if found is None:
            raise ValueError(f"not the key of an original: {self.key}")
        return found


def originals(post_id: UUID, pictures: Sequence[Picture]) -> list[Original]:
    """A post's uploads, in order, under the day of its id."""
    day = f"{time_of(post_id):%Y/%m/%d}"
    return [
        Original(
            key=f"originals/{day}/{post_id}-{index}.{images.EXTENSIONS[picture.header.format]}",
            data=picture.file.data,
            content_type=picture.header.content_type,
        )
        for index, picture in enumerate(pictures)
    ]


def put_originals(given: Sequence[Original]) -> None:
    """Store the uploads, in parallel; all or, as far as the store lets us, none. Raises `StoreUnavailable`."""
    trace_id = trace.trace_id.get()
    metadata = {TRACE_METADATA: trace_id} if trace_id else None
    connection.put([(each.key, each.data, each.content_type) for each in given], metadata=metadata)


def read_original(key: str) -> bytes:
    """An uploaded file; raises `OriginalMissing`."""
    try:
        return connection.read(key)
    except KeyError:
        raise OriginalMissing from None


def render(post_id: UUID, order_index: int, key: str) -> Size:
    """Make and store all renditions of one picture; again overwrites them with the same.

    Raises `OriginalMissing`, `UnreadableImage`, `StoreUnavailable`.
    """
    made = renditions.render_photo(read_original(key))
    files = [
        (rendition_key(post_id, order_index, file.size, file.extension), file.data, f"image/{file.format}")
        for file in made.files
    ]
    connection.put(files, cache_control=_CACHING)
    return Size(made.width, made.height)


def removed(post_id: UUID, original_keys: Sequence[str]) -> bool:
    """Whether a post's files could all be removed, originals and renditions."""
    made = [
        rendition_key(post_id, order_index, size, extension)
        for order_index in map(_order_index, original_keys)
        for size in SIZES
        for extension in ("jpg", "webp")
    ]
    return connection.removed([*original_keys, *made])


def _order_index(key: str) -> int:
    found = _KEY.fullmatch(key)
    return int(found[2]) if found else 0
