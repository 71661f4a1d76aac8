"""POST /api/v1/posts/{post_id}/save: save a post for the caller; saving again changes nothing."""

from uuid import UUID

from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import saves
from layers.postgres.connection import autocommit
from layers.valkey import fragments


@endpoint
def handler(post_id: UUID, viewer: Viewer) -> Done:
    with autocommit() as db:
        is_new = saves.add(db, post_id=post_id, viewer=viewer)
    fragments.update_save(viewer.id, post_id, is_saved=True)
    return Done(message="The post is saved.", idempotent=not is_new)
