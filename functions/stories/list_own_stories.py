"""GET /api/v1/stories/me: list the caller's active stories, oldest first."""

from layers.core.models import Shape, Story, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import stories
from layers.postgres.connection import autocommit


class OwnStories(Shape, frozen=True, kw_only=True):
    """All active stories of the caller."""

    stories: list[Story]


@endpoint
def handler(viewer: Viewer) -> OwnStories:
    with autocommit() as db:
        return OwnStories(stories=stories.list_own(db, viewer=viewer))
