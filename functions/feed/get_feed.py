"""GET /api/v1/feed: published posts of the accounts the caller follows and the caller's own, newest first."""

from layers.core import home_feed
from layers.core.endpoint import endpoint
from layers.core.limits import FEED
from layers.core.models import Page, Viewer


@endpoint(limit=FEED)
def handler(query: Page, viewer: Viewer) -> bytes:
    return home_feed.answer(viewer, cursor=query.cursor, limit=query.size)
