"""Profile pictures in the object store, one object per user, which a new picture replaces."""

import hashlib
from uuid import UUID

from layers.media import connection
from layers.media.connection import StoredFile, image_processing
from layers.media.render_jobs import RenderedPhoto

_VERSION_LENGTH = 12


def save(user_id: UUID, photo: RenderedPhoto) -> None:
    """Store a profile picture. Raises `StoreUnavailable`, at once while the image breaker is open."""
    [rendition] = photo.renditions
    with image_processing.guard():
        connection.put_all([StoredFile(key=key(user_id), data=rendition.data, media_type=rendition.media_type)])


def version(photo: RenderedPhoto) -> str:
    """The version of a picture: a hash for the URL, because pictures of a user share one key."""
    [rendition] = photo.renditions
    return hashlib.sha256(rendition.data).hexdigest()[:_VERSION_LENGTH]


def key(user_id: UUID) -> str:
    """The key of a user's picture in the bucket."""
    return f"avatars/{user_id}.jpg"
