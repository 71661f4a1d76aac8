"""DELETE /api/v1/posts/{post_id}/like: take a like back."""

from uuid import UUID

from layers.core import metrics
from layers.core.endpoint import endpoint
from layers.core.models import Done, Viewer
from layers.postgres import likes
from layers.postgres.connection import autocommit
from layers.valkey import fragments


@endpoint
def handler(post_id: UUID, viewer: Viewer) -> Done:
    with autocommit() as db:
        liked = likes.remove(db, post_id=post_id, viewer=viewer)
    fragments.liked(viewer.id, post_id, liked=False, counts=liked)
    if liked.is_new:
        metrics.LIKES.labels("unlike").inc()
    return Done(message="You do not like this post.", idempotent=not liked.is_new)
