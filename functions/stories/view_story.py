"""POST /api/v1/stories/{story_id}/view: the caller has seen a story; counts once per viewer, never for the owner."""

from uuid import UUID

from layers.core import metrics
from layers.core.endpoint import endpoint
from layers.core.models import Done, Viewer
from layers.postgres import stories
from layers.postgres.connection import autocommit


class View(Done, frozen=True, kw_only=True):
    """`tracked` is false for the owner, whose views do not count."""

    tracked: bool


@endpoint
def handler(story_id: UUID, viewer: Viewer) -> View:
    with autocommit() as db:
        viewed = stories.view(db, story_id=story_id, viewer=viewer)
    metrics.STORY_VIEWS.inc(viewed.is_new)
    return View(message="You saw this story.", idempotent=not viewed.is_new, tracked=not viewed.is_own)
