"""GET /api/v1/users/{user}/following: whom an account follows, the newest first."""

from layers.core import pages
from layers.core.endpoint import endpoint
from layers.core.errors import NotAllowed
from layers.core.models import Page, Shape, UserCard, UserRef, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.postgres import follows
from layers.postgres.connection import autocommit


class Following(Shape, frozen=True, kw_only=True):
    """One page."""

    following: list[UserCard]
    next_cursor: str | None


@endpoint(raises=(NotAllowed,))
def handler(user: UserRef, query: Page, viewer: Viewer | None) -> Following:
    window = pages.window(query, f"followed by {user}", viewer=viewer, start=NEWEST_FIRST)
    with autocommit() as db:
        rows = follows.following(db, ref=user, viewer=viewer, window=window)
    cards, next_cursor = window.page(rows)
    return Following(following=cards, next_cursor=next_cursor)
