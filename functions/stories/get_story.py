"""GET /api/v1/stories/{story_id}: return a story and its author."""

from uuid import UUID

from layers.core.models import Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import stories
from layers.postgres.connection import autocommit


@endpoint
def handler(story_id: UUID, viewer: Viewer) -> stories.StoryOfUser:
    with autocommit() as db:
        return stories.read(db, story_id=story_id, viewer=viewer)
