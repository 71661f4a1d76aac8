"""GET /api/v1/stories/tray: list the accounts that have stories for the caller, unseen ones first."""

from layers.core.models import Shape, StoryUser, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import stories
from layers.postgres.connection import autocommit


class Tray(Shape, frozen=True, kw_only=True):
    """The caller first, if there are own stories, then followed accounts."""

    users: list[StoryUser]


@endpoint
def handler(viewer: Viewer) -> Tray:
    with autocommit() as db:
        return Tray(users=stories.read_tray(db, viewer=viewer))
