"""POST /api/v1/posts/{post_id}/like: like a post; a second like changes nothing."""

from uuid import UUID

from layers.core import metrics
from layers.core.limits import LIKE
from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import likes
from layers.postgres.connection import write
from layers.valkey import fragments


@endpoint(limit=LIKE)
def handler(post_id: UUID, viewer: Viewer) -> Done:
    liked = write(lambda db: likes.add(db, post_id=post_id, viewer=viewer))
    fragments.update_like(viewer.id, is_liked=True, counts=liked)
    (metrics.LIKES.labels("like") if liked.is_new else metrics.LIKES_DUPLICATE).inc()
    return Done(message="You like this post.", idempotent=not liked.is_new)
