"""DELETE /api/v1/comments/{comment_id}/like: remove the caller's like of a comment."""

from uuid import UUID

from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import comments
from layers.postgres.connection import write


@endpoint
def handler(comment_id: UUID, viewer: Viewer) -> Done:
    was_liked = write(lambda db: comments.unlike(db, comment_id=comment_id, viewer=viewer))
    return Done(message="Your like is removed.", idempotent=not was_liked)
