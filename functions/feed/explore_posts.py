"""GET /api/v1/feed/explore: list posts of public accounts that the caller does not follow, highest score first.

The score is `likeCount + 2 × commentCount`; posts with the same score are sorted newest first. The caller's own posts
are left out. A post whose score changes while pages are read can appear twice or be skipped.
"""

from layers.core import pages
from layers.core.models import ExplorePage, PostThumb, Shape, Viewer
from layers.core.pages import HIGHEST_FIRST
from layers.entrypoints.endpoint import endpoint
from layers.postgres import grids
from layers.postgres.connection import autocommit


class Explore(Shape, frozen=True, kw_only=True):
    """A page of posts."""

    posts: list[PostThumb]
    next_cursor: str | None


@endpoint
def handler(query: ExplorePage, viewer: Viewer | None) -> Explore:
    window = pages.window(query, "explore", viewer=viewer, start=HIGHEST_FIRST)
    with autocommit() as db:
        rows = grids.list_explore(db, viewer=viewer, window=window)
    thumbs, next_cursor = window.page(rows)
    return Explore(posts=thumbs, next_cursor=next_cursor)
