"""POST /api/v1/users/{user}/follow: follow a public account, or send a follow request to a private one."""

from uuid import UUID

from layers.core import metrics
from layers.core.errors import Invalid
from layers.core.limits import FOLLOW
from layers.core.models import FollowAnswer, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import follows
from layers.postgres.connection import autocommit, transaction
from layers.valkey import timelines

_MESSAGES = {"following": "You follow this account.", "requested": "Your follow request is pending."}


@endpoint(limit=FOLLOW)
def handler(user: UUID, viewer: Viewer) -> FollowAnswer:
    if user == viewer.id:
        raise Invalid.field("user", "you cannot follow yourself")
    with autocommit() as db:
        followed = follows.follow_public(db, follower_id=viewer.id, target_id=user)
    if followed is None:
        with transaction() as db:
            followed = follows.follow(db, follower_id=viewer.id, target_id=user)
    if followed.status == "following":
        timelines.add_followed(viewer.id, user)
        metrics.FOLLOWS.labels("follow").inc(followed.is_new)
    return FollowAnswer(
        message=_MESSAGES[followed.status], idempotent=not followed.is_new, follow_status=followed.status
    )
