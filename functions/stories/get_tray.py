"""GET /api/v1/stories/tray: who has stories for the caller, unseen ones first."""

from layers.core.endpoint import endpoint
from layers.core.models import Shape, StoryUser, Viewer
from layers.postgres import stories
from layers.postgres.connection import autocommit


class Tray(Shape, frozen=True, kw_only=True):
    """The caller, if there are own stories, then followed accounts."""

    users: list[StoryUser]


@endpoint
def handler(viewer: Viewer) -> Tray:
    with autocommit() as db:
        return Tray(users=stories.tray(db, viewer=viewer))
