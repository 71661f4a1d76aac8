"""A story's files: the picture as JPEG and WebP, and its thumbnail."""

from collections.abc import Sequence
from uuid import UUID

from layers.core import story_files
from layers.media import connection
from layers.media.renditions import Rendered, processing

_CACHING = "private, max-age=86400"


def put(story_id: UUID, rendered: Rendered) -> None:
    """Store a story's files; all or none. Raises `StoreUnavailable`."""
    files = []
    for file in rendered.files:
        is_thumbnail = file.size == "thumbnail"
        key = story_files.thumbnail_key(story_id) if is_thumbnail else story_files.picture_key(story_id, file.extension)
        files.append((key, file.data, f"image/{file.format}"))
    with processing.guard():
        connection.put(files, cache_control=_CACHING)


def remove(story_ids: Sequence[UUID]) -> None:
    """Remove the files of these stories. Raises `StoreUnavailable`."""
    connection.remove([key for story_id in story_ids for key in story_files.keys(story_id)])


def read(key: str) -> bytes:
    """One file's bytes; raises `KeyError`."""
    return connection.read(key)


def exists(key: str) -> bool:
    """Whether a file is there."""
    return connection.exists(key)
