"""DELETE /api/v1/comments/{comment_id}/like: take a like back."""

from uuid import UUID

from layers.core.endpoint import endpoint
from layers.core.models import Done, Viewer
from layers.postgres import comments
from layers.postgres.connection import autocommit


@endpoint
def handler(comment_id: UUID, viewer: Viewer) -> Done:
    with autocommit() as db:
        was_liked = comments.unlike(db, comment_id=comment_id, viewer=viewer)
    return Done(message="You do not like this comment.", idempotent=not was_liked)
