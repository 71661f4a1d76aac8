"""GET /api/v1/posts/{post_id}/likes: list the users who like a post, newest like first."""

from uuid import UUID

from layers.core import pages
from layers.core.models import Page, Shape, UserCard, Viewer
from layers.core.pages import NEWEST_FIRST
from layers.entrypoints.endpoint import endpoint
from layers.postgres import likes
from layers.postgres.connection import autocommit


class Likes(Shape, frozen=True, kw_only=True):
    """A page of users."""

    likes: list[UserCard]
    next_cursor: str | None


@endpoint
def handler(post_id: UUID, query: Page, viewer: Viewer | None) -> Likes:
    window = pages.window(query, f"likes of {post_id}", viewer=viewer, start=NEWEST_FIRST)
    with autocommit() as db:
        rows = likes.list_of_post(db, post_id=post_id, viewer=viewer, window=window)
    cards, next_cursor = window.page(rows)
    return Likes(likes=cards, next_cursor=next_cursor)
