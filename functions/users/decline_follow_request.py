"""DELETE /api/v1/users/me/follow-requests/{user}: who asked does not become a follower."""

from uuid import UUID

from layers.core.endpoint import endpoint
from layers.core.models import Done, Viewer
from layers.postgres import follows
from layers.postgres.connection import autocommit


@endpoint
def handler(user: UUID, viewer: Viewer) -> Done:
    with autocommit() as db:
        declined = follows.decline(db, follower_id=user, target_id=viewer.id)
    return Done(message="This account does not ask to follow you.", idempotent=not declined)
