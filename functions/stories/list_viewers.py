"""GET /api/v1/stories/{story_id}/viewers: who saw a story, the latest first; its owner's or an admin's to know."""

from uuid import UUID

from layers.core import pages
from layers.core.endpoint import endpoint
from layers.core.errors import NotAllowed
from layers.core.models import Page, Shape, StoryViewer, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.postgres import audit, stories
from layers.postgres.connection import transaction


class Viewers(Shape, frozen=True, kw_only=True):
    """One page."""

    viewers: list[StoryViewer]
    next_cursor: str | None


@endpoint(raises=(NotAllowed,))
def handler(story_id: UUID, query: Page, viewer: Viewer) -> Viewers:
    window = pages.window(query, f"viewers of {story_id}", viewer=viewer, start=NEWEST_FIRST)
    with transaction() as db:
        listed = stories.viewers(db, story_id=story_id, viewer=viewer, window=window)
        if viewer.id != listed.author_id:
            audit.add(db, viewer=viewer, action="list_viewers", target_id=story_id)
    viewers, next_cursor = window.page(listed.rows)
    return Viewers(viewers=viewers, next_cursor=next_cursor)
