"""DELETE /api/v1/admin/posts/{post_id}: remove any post; it is gone at once from every read, its files with it."""

from uuid import UUID

from layers.core import metrics
from layers.core.endpoint import endpoint
from layers.core.models import Admin, Told
from layers.media import photos
from layers.postgres import audit, posts
from layers.valkey import fragments


@endpoint
def handler(post_id: UUID, viewer: Admin) -> Told:
    with audit.noted(viewer=viewer, action="delete_post", target_id=post_id) as db:
        deleted = posts.delete(db, post_id=post_id, viewer=viewer)
    fragments.deleted(post_id)
    metrics.POSTS_DELETED.inc()
    if photos.removed(post_id, deleted.original_keys):
        posts.media_removed(post_id=post_id)
    return Told(message="The post is gone.")
