"""POST /api/v1/posts/{post_id}/comments: comment on a post, or reply to a comment."""

from uuid import UUID

from layers.core import metrics
from layers.core.errors import CommentNotFound
from layers.core.ids import NewId
from layers.core.limits import COMMENT
from layers.core.models import Comment, CommentText, Shape, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.entrypoints.response import Created
from layers.postgres import comments
from layers.postgres.connection import autocommit
from layers.valkey import fragments


class NewComment(Shape, frozen=True, kw_only=True):
    """A comment; with a parent it is a reply."""

    content: CommentText
    """Markup and surrounding white space are removed before the length is checked."""
    parent_comment_id: UUID | None = None
    """The comment that this one replies to, on the same post."""


class OneComment(Shape, frozen=True, kw_only=True):
    """The comment that was created."""

    comment: Comment


@endpoint(limit=COMMENT, raises=(CommentNotFound,))
def handler(post_id: UUID, body: NewComment, viewer: Viewer, new: NewId) -> Created[OneComment]:
    with autocommit() as db:
        added = comments.add(
            db, comment_id=new, post_id=post_id, parent_id=body.parent_comment_id, content=body.content, viewer=viewer
        )
    fragments.update_counts(added.counts)
    metrics.COMMENTS.labels("create").inc()
    return Created(OneComment(comment=added.comment))
