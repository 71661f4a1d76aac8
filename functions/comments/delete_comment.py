"""DELETE /api/v1/comments/{comment_id}: its author's, the post's owner's or an admin's right; replies go with it."""

from uuid import UUID

from layers.core import metrics
from layers.core.endpoint import endpoint
from layers.core.errors import NotAllowed
from layers.core.models import Told, Viewer
from layers.postgres import audit, comments
from layers.postgres.connection import transaction
from layers.valkey import fragments


@endpoint(raises=(NotAllowed,))
def handler(comment_id: UUID, viewer: Viewer) -> Told:
    with transaction() as db:
        deleted = comments.delete(db, comment_id=comment_id, viewer=viewer)
        if viewer.id not in (deleted.author_id, deleted.post_author_id):
            audit.add(db, viewer=viewer, action="delete_comment", target_id=comment_id)
    fragments.counted(deleted.counts.post_id, counts=deleted.counts)
    metrics.COMMENTS.labels("delete").inc()
    return Told(message="The comment is gone.")
