"""POST /api/v1/comments/{comment_id}/like: like a comment; a second like changes nothing."""

from uuid import UUID

from layers.core.limits import LIKE
from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import comments
from layers.postgres.connection import write


@endpoint(limit=LIKE)
def handler(comment_id: UUID, viewer: Viewer) -> Done:
    is_new = write(lambda db: comments.like(db, comment_id=comment_id, viewer=viewer))
    return Done(message="You like this comment.", idempotent=not is_new)
