"""DELETE /api/v1/posts/{post_id}/like: remove the caller's like of a post."""

from uuid import UUID

from layers.core import metrics
from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import likes
from layers.postgres.connection import write
from layers.valkey import fragments


@endpoint
def handler(post_id: UUID, viewer: Viewer) -> Done:
    liked = write(lambda db: likes.remove(db, post_id=post_id, viewer=viewer))
    fragments.update_like(viewer.id, is_liked=False, counts=liked)
    if liked.is_new:
        metrics.LIKES.labels("unlike").inc()
    return Done(message="Your like is removed.", idempotent=not liked.is_new)
