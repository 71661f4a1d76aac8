"""DELETE /api/v1/posts/{post_id}/save: remove a post from the caller's saved posts."""

from uuid import UUID

from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import saves
from layers.postgres.connection import autocommit
from layers.valkey import fragments


@endpoint
def handler(post_id: UUID, viewer: Viewer) -> Done:
    with autocommit() as db:
        was_saved = saves.remove(db, post_id=post_id, viewer=viewer)
    fragments.update_save(viewer.id, post_id, is_saved=False)
    return Done(message="The post is not saved.", idempotent=not was_saved)
