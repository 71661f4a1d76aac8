"""DELETE /api/v1/stories/{story_id}: remove a story; it is gone at once from every read, its files with it."""

from uuid import UUID

from layers.core.endpoint import endpoint
from layers.core.errors import NotAllowed, StoreUnavailable
from layers.core.logging import logger
from layers.core.models import Told, Viewer
from layers.media import story_media
from layers.postgres import audit, stories
from layers.postgres.connection import autocommit, transaction


@endpoint(raises=(NotAllowed,))
def handler(story_id: UUID, viewer: Viewer) -> Told:
    with transaction() as db:
        author_id = stories.end(db, story_id=story_id, viewer=viewer)
        if viewer.id != author_id:
            audit.add(db, viewer=viewer, action="delete_story", target_id=story_id)
    try:
        story_media.remove([story_id])
        with autocommit() as db:
            stories.remove(db, story_id=story_id)
    except StoreUnavailable:
        logger().warning("files not removed yet", story_id=str(story_id))  # the hourly cleanup finds them by the row
    return Told(message="The story is gone.")
