"""POST /api/v1/admin/users/{user}/unban: the account may be used and seen again."""

from uuid import UUID

from layers.core import admission
from layers.core.endpoint import endpoint
from layers.core.models import Admin, Done
from layers.postgres import audit, bans, feeds, outbox, sessions
from layers.rabbitmq import publishing
from layers.valkey import timelines


@endpoint
def handler(user: UUID, viewer: Admin) -> Done:
    with audit.noted(viewer=viewer, action="unban_user", target_id=user) as db:
        opened = bans.end(db, user_id=user)
        note = outbox.add(db, opened.profile)
    if admission.revoke(opened.revocation):
        sessions.forget(opened.revocation)
    if publishing.send(note):
        outbox.forget(note)
    for followers in feeds.audience(user) or ():  # a star's feeds hold its older posts again within the hour
        timelines.followed_by_all(followers, user)
    return Done(message="The account is open.", idempotent=not opened.is_new)
