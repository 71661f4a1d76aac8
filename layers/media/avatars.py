"""Profile pictures in the object store: one per user, replaced in place."""

import hashlib
from uuid import UUID

from layers.media import connection
from layers.media.connection import StoredFile, image_processing
from layers.media.render_jobs import RenderedPhoto

_VERSION_LENGTH = 12


def save(user_id: UUID, photo: RenderedPhoto) -> None:
    """Store an avatar. Raises `StoreUnavailable`, at once while the image breaker is open."""
    [rendition] = photo.renditions
    with image_processing.guard():
        connection.put_all([StoredFile(key=key(user_id), data=rendition.data, media_type=rendition.media_type)])


def version(photo: RenderedPhoto) -> str:
    """What tells this picture from others under the same key, for the user's row: its URL carries it."""
    [rendition] = photo.renditions
    return hashlib.sha256(rendition.data).hexdigest()[:_VERSION_LENGTH]


def key(user_id: UUID) -> str:
    """Where it lies in the bucket."""
    return f"avatars/{user_id}.jpg"
