"""GET /api/v1/posts/{post_id}/comments: a post's comments, the newest first; replies stand below theirs."""

from uuid import UUID

from layers.core import pages
from layers.core.endpoint import endpoint
from layers.core.models import Comment, Page, Shape, Viewer
from layers.core.pages import LAST_ID
from layers.postgres import comments
from layers.postgres.connection import autocommit


class Comments(Shape, frozen=True, kw_only=True):
    """One page."""

    comments: list[Comment]
    next_cursor: str | None


@endpoint
def handler(post_id: UUID, query: Page, viewer: Viewer | None) -> Comments:
    window = pages.window(query, f"comments on {post_id}", viewer=viewer, start=LAST_ID)
    with autocommit() as db:
        rows = comments.of_post(db, post_id=post_id, viewer=viewer, window=window)
    listed, next_cursor = window.page(rows)
    return Comments(comments=listed, next_cursor=next_cursor)
