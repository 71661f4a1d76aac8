"""GET /api/v1/feed: list published posts of the caller and of accounts that the caller follows, newest first.

`cursor` can also be a time in ISO 8601: the page then starts with posts that are strictly older.
"""

from uuid import UUID

from layers.core.limits import FEED
from layers.core.models import Page, Post, Shape, Viewer
from layers.core.prefetched import Prefetched
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Encoded
from layers.services import home_feed
from layers.valkey.connection import Call


class Feed(Shape, frozen=True, kw_only=True, omit_defaults=True):
    """A page of posts."""

    posts: list[Post]
    next_cursor: str | None
    fallback: bool = False
    """True, with no posts, while no store can answer; otherwise absent."""


def _prefetch(viewer_id: UUID, query: Page) -> Call:
    return home_feed.prefetch(viewer_id, cursor=query.cursor, limit=query.size)


@endpoint(limit=FEED, prefetch=_prefetch)
def handler(query: Page, viewer: Viewer, prefetched: Prefetched | None) -> Encoded[Feed]:
    return Encoded(home_feed.read(viewer, cursor=query.cursor, limit=query.size, prefetched=prefetched))
