"""DELETE /api/v1/posts/{post_id}: delete a post; it disappears from all reads at once.

Its files are removed too. Only the author and admins may do this; others get 403.
"""

from uuid import UUID

from layers.core.errors import NotAllowed
from layers.core.models import Confirmation, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import audit, posts
from layers.postgres.connection import transaction
from layers.services import post_removal


@endpoint(raises=(NotAllowed,))
def handler(post_id: UUID, viewer: Viewer) -> Confirmation:
    with transaction() as db:
        deleted = posts.delete(db, post_id=post_id, viewer=viewer)
        if viewer.id != deleted.author_id:
            audit.record(db, viewer=viewer, action="delete_post", target_id=post_id)
    post_removal.hide_and_remove_files(post_id, deleted)
    return Confirmation(message="The post is deleted.")
