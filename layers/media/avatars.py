"""Profile pictures in the object store; each has an id of its own, which the row of its account names."""

from uuid import UUID

from layers.media import connection
from layers.media.connection import StoredFile, image_processing
from layers.media.render_jobs import RenderedPhoto


def save(avatar_id: UUID, photo: RenderedPhoto) -> None:
    """Store a profile picture. Raises `StoreUnavailable`, at once while the image breaker is open."""
    [rendition] = photo.renditions
    with image_processing.guard():
        connection.put_all([StoredFile(key=key(avatar_id), data=rendition.data, media_type=rendition.media_type)])


def key(avatar_id: UUID) -> str:
    """The key of a picture in the bucket."""
    return f"avatars/{avatar_id}.jpg"
