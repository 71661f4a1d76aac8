"""POST /api/v1/posts/{post_id}/comments: comment on a post, or reply to a comment."""

from typing import Annotated
from uuid import UUID

import msgspec

from layers.core import limits, metrics
from layers.core.endpoint import endpoint
from layers.core.errors import CommentNotFound, Invalid
from layers.core.ids import NewId
from layers.core.limits import COMMENT
from layers.core.models import Comment, Shape, Viewer
from layers.core.response import Created
from layers.core.text import bounded
from layers.postgres import comments
from layers.postgres.connection import transaction
from layers.valkey import fragments


class NewComment(Shape, frozen=True, kw_only=True):
    """What is said; with a parent it is a reply."""

    content: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": limits.COMMENT_LENGTH})]
    parent_comment_id: UUID | None = None
    """Of a comment on the same post."""


class OneComment(Shape, frozen=True, kw_only=True):
    """The comment."""

    comment: Comment


@endpoint(limit=COMMENT, raises=(CommentNotFound,))
def handler(post_id: UUID, body: NewComment, viewer: Viewer, new: NewId) -> Created[OneComment]:
    content = bounded("content", body.content, limits.COMMENT_LENGTH)
    if not content:
        raise Invalid.field("content", "must say something")
    with transaction() as db:
        added = comments.add(
            db, comment_id=new, post_id=post_id, parent_id=body.parent_comment_id, content=content, viewer=viewer
        )
    fragments.counted(post_id, counts=added.counts)
    metrics.COMMENTS.labels("create").inc()
    return Created(OneComment(comment=added.comment))
