"""GET /api/v1/posts/{post_id}/comments: list the comments on a post without replies, newest first."""

from uuid import UUID

from layers.core import pages
from layers.core.models import Comment, Page, Shape, Viewer
from layers.core.pages import LAST_ID
from layers.entrypoints.endpoint import endpoint
from layers.postgres import comments
from layers.postgres.connection import autocommit


class Comments(Shape, frozen=True, kw_only=True):
    """A page of comments."""

    comments: list[Comment]
    next_cursor: str | None


@endpoint
def handler(post_id: UUID, query: Page, viewer: Viewer | None) -> Comments:
    window = pages.window(query, f"comments on {post_id}", viewer=viewer, start=LAST_ID)
    with autocommit() as db:
        rows = comments.list_of_post(db, post_id=post_id, viewer=viewer, window=window)
    listed, next_cursor = window.page(rows)
    return Comments(comments=listed, next_cursor=next_cursor)
