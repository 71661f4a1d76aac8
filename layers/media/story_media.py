"""The files of stories in the object store."""

from collections.abc import Sequence
from uuid import UUID

from layers.core import story_files
from layers.media import connection
from layers.media.connection import StoredFile, image_processing
from layers.media.render_jobs import RenderedPhoto, Rendition


def save(story_id: UUID, photo: RenderedPhoto) -> None:
    """Store the picture and the thumbnail of a story.

    Raises `StoreUnavailable`, at once while the image breaker is open.
    """
    with image_processing.guard():
        connection.put_all([_stored_file(story_id, rendition) for rendition in photo.renditions])


def remove(story_ids: Sequence[UUID]) -> None:
    """Remove all files of these stories. Raises `StoreUnavailable`; then some may have been removed."""
    connection.remove([key for story_id in story_ids for key in story_files.keys(story_id)])


def _stored_file(story_id: UUID, rendition: Rendition) -> StoredFile:
    if rendition.size == "thumbnail":
        key = story_files.thumbnail_key(story_id)
    else:
        key = story_files.picture_key(story_id, rendition.extension)
    return StoredFile(key=key, data=rendition.data, media_type=rendition.media_type)
