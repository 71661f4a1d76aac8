"""GET /api/v1/feed: published posts of the accounts the caller follows and the caller's own, newest first.

A time in ISO 8601 is a cursor too: what is strictly older.
"""

from layers.core import home_feed
from layers.core.endpoint import endpoint
from layers.core.limits import FEED
from layers.core.models import Page, Post, Shape, Viewer
from layers.core.response import Encoded


class Feed(Shape, frozen=True, kw_only=True, omit_defaults=True):
    """One page; with `fallback`, and without posts, while no store can answer."""

    posts: list[Post]
    next_cursor: str | None
    fallback: bool = False


@endpoint(limit=FEED)
def handler(query: Page, viewer: Viewer) -> Encoded[Feed]:
    return Encoded(home_feed.answer(viewer, cursor=query.cursor, limit=query.size))
