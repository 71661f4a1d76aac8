"""GET /api/v1/users/{user}/posts: list the published posts of an account, newest first."""

from layers.core import pages
from layers.core.errors import NotAllowed
from layers.core.models import GridPage, PostThumb, Shape, UserRef, Viewer
from layers.core.pages import LAST_ID
from layers.entrypoints.endpoint import endpoint
from layers.postgres import grids
from layers.postgres.connection import autocommit


class UserPosts(Shape, frozen=True, kw_only=True):
    """A page of posts."""

    posts: list[PostThumb]
    next_cursor: str | None


@endpoint(raises=(NotAllowed,))
def handler(user: UserRef, query: GridPage, viewer: Viewer | None) -> UserPosts:
    window = pages.window(query, f"posts of {user}", viewer=viewer, start=LAST_ID)
    with autocommit() as db:
        rows = grids.list_of_user(db, ref=user, viewer=viewer, window=window)
    thumbs, next_cursor = window.page(rows)
    return UserPosts(posts=thumbs, next_cursor=next_cursor)
