"""GET /api/v1/stories/me: the caller's own stories that live now, oldest first."""

from layers.core.endpoint import endpoint
from layers.core.models import Shape, Story, Viewer
from layers.postgres import stories
from layers.postgres.connection import autocommit


class OwnStories(Shape, frozen=True, kw_only=True):
    """All of them."""

    stories: list[Story]


@endpoint
def handler(viewer: Viewer) -> OwnStories:
    with autocommit() as db:
        return OwnStories(stories=stories.of_self(db, viewer=viewer))
