"""GET /api/v1/users/me/saved: list the posts that the caller has saved, latest save first.

Posts that the caller can no longer see are left out.
"""

from layers.core import pages
from layers.core.models import GridPage, SavedPost, Shape, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.entrypoints.endpoint import endpoint
from layers.postgres import grids
from layers.postgres.connection import autocommit


class SavedPosts(Shape, frozen=True, kw_only=True):
    """A page of posts."""

    posts: list[SavedPost]
    next_cursor: str | None


@endpoint
def handler(query: GridPage, viewer: Viewer) -> SavedPosts:
    window = pages.window(query, "saved posts", viewer=viewer, start=NEWEST_FIRST)
    with autocommit() as db:
        rows = grids.list_saved(db, viewer=viewer, window=window)
    thumbs, next_cursor = window.page(rows)
    return SavedPosts(posts=thumbs, next_cursor=next_cursor)
