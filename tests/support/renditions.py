"""Renditions of pictures in the store."""

from uuid import UUID

from layers.media import photos
from layers.media.render_jobs import RenderedPhoto


def store_renditions(post_id: UUID, order_index: int, photo: RenderedPhoto) -> None:
    """Store all renditions of a picture."""
    with photos.storing(post_id, order_index) as store:
        for rendition in photo.renditions:
            store(rendition)
