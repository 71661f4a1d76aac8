"""DELETE /api/v1/users/me/follow-requests/{user}: decline a follow request."""

from uuid import UUID

from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import follows
from layers.postgres.connection import autocommit


@endpoint
def handler(user: UUID, viewer: Viewer) -> Done:
    with autocommit() as db:
        declined = follows.decline(db, follower_id=user, target_id=viewer.id)
    return Done(message="There is no follow request from this account.", idempotent=not declined)
