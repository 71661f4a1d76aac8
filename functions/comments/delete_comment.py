"""DELETE /api/v1/comments/{comment_id}: delete a comment and its replies.

Only the comment's author, the post's author and admins may do this; others get 403.
"""

from uuid import UUID

from layers.core import metrics
from layers.core.errors import NotAllowed
from layers.core.models import Confirmation, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import audit, comments
from layers.postgres.connection import transaction
from layers.valkey import fragments


@endpoint(raises=(NotAllowed,))
def handler(comment_id: UUID, viewer: Viewer) -> Confirmation:
    with transaction() as db:
        deleted = comments.delete(db, comment_id=comment_id, viewer=viewer)
        if viewer.id not in (deleted.author_id, deleted.post_author_id):
            audit.record(db, viewer=viewer, action="delete_comment", target_id=comment_id)
    fragments.update_counts(deleted.counts)
    metrics.COMMENTS.labels("delete").inc()
    return Confirmation(message="The comment is deleted.")
