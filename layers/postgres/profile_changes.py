"""Changes of a profile, with their effects on follow requests and the outbox."""

from uuid import UUID

import msgspec

from layers.core.events import OutboxEvent, ProfileUpdated
from layers.core.models import UserSelf
from layers.postgres import follows, outbox, users
from layers.postgres.connection import Connection
from layers.postgres.users import ProfilePatch


class AppliedChange(msgspec.Struct, frozen=True):
    """The changed account, and what must be done after the commit."""

    user: UserSelf
    new_follower_ids: list[UUID]
    """The ids of requesters who became followers because the account became public."""
    event: OutboxEvent
    """The event `ProfileUpdated`, which must be published."""


def apply(db: Connection, *, user_id: UUID, change: ProfilePatch) -> AppliedChange:
    """Change a profile; an account that becomes public accepts all follow requests. Raises `UserNotFound`."""
    if change.is_private is False:
        follows.lock_with_requesters(db, user_id=user_id)
    user = users.update(db, user_id=user_id, change=change)
    accepted = [] if user.is_private else follows.accept_all(db, user_id=user_id)
    if accepted:
        user = users.read_self(db, user_id=user_id)
    return AppliedChange(user=user, new_follower_ids=accepted, event=outbox.add(db, ProfileUpdated.of(user)))
