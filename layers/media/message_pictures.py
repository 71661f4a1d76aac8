"""Pictures of direct messages in the object store, one JPEG each. A lifecycle rule of the store removes them."""

from typing import Final
from uuid import UUID

from layers.core import media_links
from layers.media import connection
from layers.media.connection import StoredFile, image_processing
from layers.media.render_jobs import RenderedPhoto

_FOLDER: Final = "messages"


def save(picture_id: UUID, photo: RenderedPhoto) -> str:
    """Store a picture; returns its URL, which is signed while answering. Raises `StoreUnavailable`."""
    [rendition] = photo.renditions
    key = _key(picture_id)
    with image_processing.guard():
        connection.put_all([StoredFile(key=key, data=rendition.data, media_type=rendition.media_type)])
    return media_links.POST_MARK + key


def remove(url: str) -> None:
    """Remove the picture with this URL, unless it is outside the store. Raises `StoreUnavailable`."""
    if key := key_of(url):
        connection.remove([key])


def key_of(url: str) -> str | None:
    """The key of the picture with this URL; None if it is outside the store."""
    key = url.removeprefix(media_links.POST_MARK)
    return key if key != url and key.startswith(f"{_FOLDER}/") else None


def _key(picture_id: UUID) -> str:
    return f"{_FOLDER}/{picture_id}.jpg"
