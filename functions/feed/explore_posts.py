"""GET /api/v1/feed/explore: posts of public accounts that the caller does not follow, the most cared for first."""

from layers.core import pages
from layers.core.endpoint import endpoint
from layers.core.models import ExplorePage, PostThumb, Shape, Viewer
from layers.core.pages import HIGHEST_FIRST
from layers.postgres import grids
from layers.postgres.connection import autocommit


class Explore(Shape, frozen=True, kw_only=True):
    """One page."""

    posts: list[PostThumb]
    next_cursor: str | None


@endpoint
def handler(query: ExplorePage, viewer: Viewer | None) -> Explore:
    window = pages.window(query, "explore", viewer=viewer, start=HIGHEST_FIRST)
    with autocommit() as db:
        rows = grids.explore(db, viewer=viewer, window=window)
    thumbs, next_cursor = window.page(rows)
    return Explore(posts=thumbs, next_cursor=next_cursor)
