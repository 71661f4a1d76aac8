"""GET /api/v1/stories/{story_id}/viewers: list the users who have seen a story, latest view first.

Only the author and admins may do this; others get 403.
"""

from uuid import UUID

from layers.core import pages
from layers.core.errors import NotAllowed
from layers.core.models import Page, Shape, StoryViewer, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.entrypoints.endpoint import endpoint
from layers.postgres import audit, stories
from layers.postgres.connection import transaction


class Viewers(Shape, frozen=True, kw_only=True):
    """A page of users."""

    viewers: list[StoryViewer]
    next_cursor: str | None


@endpoint(raises=(NotAllowed,))
def handler(story_id: UUID, query: Page, viewer: Viewer) -> Viewers:
    window = pages.window(query, f"viewers of {story_id}", viewer=viewer, start=NEWEST_FIRST)
    with transaction() as db:
        listed = stories.list_viewers(db, story_id=story_id, viewer=viewer, window=window)
        if viewer.id != listed.author_id:
            audit.record(db, viewer=viewer, action="list_viewers", target_id=story_id)
    viewers, next_cursor = window.page(listed.rows)
    return Viewers(viewers=viewers, next_cursor=next_cursor)
