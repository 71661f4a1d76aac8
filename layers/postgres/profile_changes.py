"""Changes of a profile, with what follows from them in the same transaction."""

from uuid import UUID

import msgspec

from layers.core.events import OutboxEvent, ProfileUpdated
from layers.core.models import UserSelf
from layers.postgres import follows, outbox, users
from layers.postgres.connection import Connection
from layers.postgres.users import ProfilePatch


class AppliedChange(msgspec.Struct, frozen=True):
    """The account as it is now, and what must follow the commit."""

    user: UserSelf
    new_follower_ids: list[UUID]
    """Requesters who became followers because the account turned public."""
    event: OutboxEvent
    """`ProfileUpdated`, to be published."""


def apply(db: Connection, *, user_id: UUID, change: ProfilePatch) -> AppliedChange:
    """Change a profile; an account that turns public accepts all follow requests. Raises `UserNotFound`."""
    if change.is_private is False:
        follows.lock_with_requesters(db, user_id=user_id)
    user = users.update(db, user_id=user_id, change=change)
    accepted = [] if user.is_private else follows.accept_all(db, user_id=user_id)
    if accepted:
        user = users.read_self(db, user_id=user_id)
    return AppliedChange(user=user, new_follower_ids=accepted, event=outbox.add(db, ProfileUpdated.of(user)))
