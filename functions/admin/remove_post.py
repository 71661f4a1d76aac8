"""DELETE /api/v1/admin/posts/{post_id}: delete any post; it disappears from all reads at once."""

from uuid import UUID

from layers.core.models import Admin, Confirmation
from layers.entrypoints.endpoint import endpoint
from layers.postgres import posts
from layers.services import admin_actions, post_removal


@endpoint
def handler(post_id: UUID, viewer: Admin) -> Confirmation:
    with admin_actions.audited_transaction(viewer=viewer, action="delete_post", target_id=post_id) as db:
        deleted = posts.delete(db, post_id=post_id, viewer=viewer)
    post_removal.hide_and_remove_files(post_id, deleted)
    return Confirmation(message="The post is deleted.")
