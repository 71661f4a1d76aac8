"""Profile pictures in the object store: one per user, replaced in place."""

import hashlib
from uuid import UUID

from layers.media import connection
from layers.media.connection import StoredFile, processing
from layers.media.orders import Photo

_VERSION_LENGTH = 12


def put(user_id: UUID, photo: Photo) -> None:
    """Store an avatar. Raises `StoreUnavailable`, at once while the image breaker is open."""
    [rendition] = photo.renditions
    with processing.guard():
        connection.put_all([StoredFile(key=key(user_id), data=rendition.data, media_type=rendition.media_type)])


def version(photo: Photo) -> str:
    """What tells this picture from others under the same key, for the user's row: its URL carries it."""
    [rendition] = photo.renditions
    return hashlib.sha256(rendition.data).hexdigest()[:_VERSION_LENGTH]


def remove(user_id: UUID) -> None:
    """Remove it, if there is one. Raises `StoreUnavailable`."""
    connection.remove([key(user_id)])


def key(user_id: UUID) -> str:
    """Where it lies in the bucket."""
    return f"avatars/{user_id}.jpg"
