"""DELETE /api/v1/posts/{post_id}/save: keep a post no more."""

from uuid import UUID

from layers.core.endpoint import endpoint
from layers.core.models import Done, Viewer
from layers.postgres import saves
from layers.postgres.connection import autocommit
from layers.valkey import fragments


@endpoint
def handler(post_id: UUID, viewer: Viewer) -> Done:
    with autocommit() as db:
        was_saved = saves.remove(db, post_id=post_id, viewer=viewer)
    fragments.saved(viewer.id, post_id, saved=False)
    return Done(message="You have not saved this post.", idempotent=not was_saved)
