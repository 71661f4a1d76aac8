"""GET /api/v1/comments/{comment_id}/replies: list the replies to a comment, oldest first."""

from uuid import UUID

from layers.core import pages
from layers.core.models import Comment, RepliesPage, Shape, Viewer
from layers.core.pages import FIRST_ID
from layers.entrypoints.endpoint import endpoint
from layers.postgres import comments
from layers.postgres.connection import autocommit


class Replies(Shape, frozen=True, kw_only=True):
    """A page of replies."""

    replies: list[Comment]
    next_cursor: str | None


@endpoint
def handler(comment_id: UUID, query: RepliesPage, viewer: Viewer | None) -> Replies:
    window = pages.window(query, f"replies to {comment_id}", viewer=viewer, start=FIRST_ID)
    with autocommit() as db:
        rows = comments.list_replies(db, comment_id=comment_id, viewer=viewer, window=window)
    listed, next_cursor = window.page(rows)
    return Replies(replies=listed, next_cursor=next_cursor)
