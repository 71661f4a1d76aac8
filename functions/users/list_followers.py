"""GET /api/v1/users/{user}/followers: list the followers of an account, newest follow first."""

from layers.core import pages
from layers.core.errors import NotAllowed
from layers.core.models import Page, Shape, UserCard, UserRef, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.entrypoints.endpoint import endpoint
from layers.postgres import follows
from layers.postgres.connection import autocommit


class Followers(Shape, frozen=True, kw_only=True):
    """A page of users."""

    followers: list[UserCard]
    next_cursor: str | None


@endpoint(raises=(NotAllowed,))
def handler(user: UserRef, query: Page, viewer: Viewer | None) -> Followers:
    window = pages.window(query, f"followers of {user}", viewer=viewer, start=NEWEST_FIRST)
    with autocommit() as db:
        rows = follows.list_followers(db, ref=user, viewer=viewer, window=window)
    cards, next_cursor = window.page(rows)
    return Followers(followers=cards, next_cursor=next_cursor)
