"""DELETE /api/v1/posts/{post_id}: remove a post; it is gone at once from every read, its files with it."""

from uuid import UUID

from layers.core import metrics
from layers.core.endpoint import endpoint
from layers.core.errors import NotAllowed
from layers.core.models import Told, Viewer
from layers.media import photos
from layers.postgres import audit, posts
from layers.postgres.connection import transaction
from layers.valkey import fragments


@endpoint(raises=(NotAllowed,))
def handler(post_id: UUID, viewer: Viewer) -> Told:
    with transaction() as db:
        deleted = posts.delete(db, post_id=post_id, viewer=viewer)
        if viewer.id != deleted.author_id:
            audit.add(db, viewer=viewer, action="delete_post", target_id=post_id)
    fragments.deleted(post_id)
    metrics.POSTS_DELETED.inc()
    if photos.removed(post_id, deleted.original_keys):
        posts.media_removed(post_id=post_id)
    return Told(message="The post is gone.")
