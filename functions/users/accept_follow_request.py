"""POST /api/v1/users/me/follow-requests/{user}/accept: accept a follow request; the requester becomes a follower."""

from uuid import UUID

from layers.core import metrics
from layers.core.errors import RequestNotFound
from layers.core.models import Done, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import follows
from layers.postgres.connection import transaction
from layers.valkey import timelines


@endpoint(raises=(RequestNotFound,))
def handler(user: UUID, viewer: Viewer) -> Done:
    with transaction() as db:
        is_new = follows.accept(db, follower_id=user, target_id=viewer.id)
    timelines.add_followed(user, viewer.id)
    metrics.FOLLOWS.labels("follow").inc(is_new)
    return Done(message="This account follows you.", idempotent=not is_new)
