"""GET /api/v1/stories/user/{user}: list an account's active stories, oldest first."""

from uuid import UUID

from layers.core.errors import NotAllowed
from layers.core.models import Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import stories
from layers.postgres.connection import autocommit


@endpoint(raises=(NotAllowed,))
def handler(user: UUID, viewer: Viewer) -> stories.StoriesOfUser:
    with autocommit() as db:
        return stories.list_of_user(db, user_id=user, viewer=viewer)
