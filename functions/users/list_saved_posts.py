"""GET /api/v1/users/me/saved: posts that the caller has saved and may still see, the latest save first."""

from layers.core import pages
from layers.core.endpoint import endpoint
from layers.core.models import GridPage, SavedPost, Shape, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.postgres import grids
from layers.postgres.connection import autocommit


class SavedPosts(Shape, frozen=True, kw_only=True):
    """One page."""

    posts: list[SavedPost]
    next_cursor: str | None


@endpoint
def handler(query: GridPage, viewer: Viewer) -> SavedPosts:
    window = pages.window(query, "saved posts", viewer=viewer, start=NEWEST_FIRST)
    with autocommit() as db:
        rows = grids.saved(db, viewer=viewer, window=window)
    thumbs, next_cursor = window.page(rows)
    return SavedPosts(posts=thumbs, next_cursor=next_cursor)
