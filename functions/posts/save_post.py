"""POST /api/v1/posts/{post_id}/save: keep a post among one's own; saving twice counts once."""

from uuid import UUID

from layers.core.endpoint import endpoint
from layers.core.models import Done, Viewer
from layers.postgres import saves
from layers.postgres.connection import autocommit
from layers.valkey import fragments


@endpoint
def handler(post_id: UUID, viewer: Viewer) -> Done:
    with autocommit() as db:
        is_new = saves.add(db, post_id=post_id, viewer=viewer)
    fragments.saved(viewer.id, post_id, saved=True)
    return Done(message="You have saved this post.", idempotent=not is_new)
