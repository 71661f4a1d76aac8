"""DELETE /api/v1/stories/{story_id}: delete a story; it disappears from all reads at once.

Its files are removed too. Only the author and admins may do this; others get 403.
"""

from uuid import UUID

from layers.core.errors import NotAllowed, StoreUnavailable
from layers.core.logging import logger
from layers.core.models import Confirmation, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.media import story_media
from layers.postgres import audit, stories
from layers.postgres.connection import autocommit, transaction


@endpoint(raises=(NotAllowed,))
def handler(story_id: UUID, viewer: Viewer) -> Confirmation:
    with transaction() as db:
        author_id = stories.end(db, story_id=story_id, viewer=viewer)
        if viewer.id != author_id:
            audit.record(db, viewer=viewer, action="delete_story", target_id=story_id)
    try:
        story_media.remove([story_id])
        with autocommit() as db:
            stories.remove(db, story_id=story_id)
    except StoreUnavailable:
        logger().warning("files not removed yet", story_id=str(story_id))  # the hourly cleanup finds them by the row
    return Confirmation(message="The story is deleted.")
