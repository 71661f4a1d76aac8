"""POST /api/v1/stories/{story_id}/view: record that the caller has seen a story.

A story has one view per user; views of its author are not recorded.
"""

from uuid import UUID

from layers.core import metrics
from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import stories
from layers.postgres.connection import autocommit


class View(Done, frozen=True, kw_only=True):
    """The result; `idempotent` is true if nothing was recorded."""

    tracked: bool
    """False for the author."""


@endpoint
def handler(story_id: UUID, viewer: Viewer) -> View:
    with autocommit() as db:
        viewed = stories.record_view(db, story_id=story_id, viewer=viewer)
    metrics.STORY_VIEWS.inc(viewed.is_new)
    return View(message="You saw this story.", idempotent=not viewed.is_new, tracked=not viewed.is_own)
