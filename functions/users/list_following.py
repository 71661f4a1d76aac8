"""GET /api/v1/users/{user}/following: list the accounts that an account follows, newest follow first."""

from layers.core import pages
from layers.core.errors import NotAllowed
from layers.core.models import Page, Shape, UserCard, UserRef, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.entrypoints.endpoint import endpoint
from layers.postgres import follows
from layers.postgres.connection import autocommit


class Following(Shape, frozen=True, kw_only=True):
    """A page of users."""

    following: list[UserCard]
    next_cursor: str | None


@endpoint(raises=(NotAllowed,))
def handler(user: UserRef, query: Page, viewer: Viewer | None) -> Following:
    window = pages.window(query, f"followed by {user}", viewer=viewer, start=NEWEST_FIRST)
    with autocommit() as db:
        rows = follows.list_following(db, ref=user, viewer=viewer, window=window)
    cards, next_cursor = window.page(rows)
    return Following(following=cards, next_cursor=next_cursor)
