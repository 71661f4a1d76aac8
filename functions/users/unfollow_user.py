"""DELETE /api/v1/users/{user}/follow: end a follow, or withdraw a follow request."""

from uuid import UUID

from layers.core import metrics
from layers.core.models import FollowAnswer, Viewer
from layers.entrypoints.endpoint import endpoint
from layers.postgres import follows
from layers.postgres.connection import autocommit, transaction
from layers.valkey import timelines


@endpoint
def handler(user: UUID, viewer: Viewer) -> FollowAnswer:
    with autocommit() as db:
        ended = follows.end_follow(db, follower_id=viewer.id, target_id=user)
    if not ended:
        with transaction() as db:
            ended = follows.unfollow(db, follower_id=viewer.id, target_id=user)
    if user != viewer.id:  # the caller's own posts always stay in the caller's feed
        timelines.remove_followed(viewer.id, user)
    metrics.FOLLOWS.labels("unfollow").inc(ended)
    return FollowAnswer(message="You do not follow this account.", idempotent=not ended, follow_status="none")
