"""Changes of a profile, with their effects on follow requests and the outbox."""

from typing import Final
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
    replaced_avatar_id: UUID | None
    """The profile picture that the account had before a new one."""
    event: OutboxEvent
    """The event `ProfileUpdated`, which must be published."""


LOCK_AVATAR: Final = "SELECT avatar_id FROM users WHERE id = %(user_id)s FOR NO KEY UPDATE"


def apply(db: Connection, *, user_id: UUID, change: ProfilePatch) -> AppliedChange:
    """Change a profile; an account that becomes public accepts all follow requests. Raises `UserNotFound`."""
    if change.is_private is False:
        follows.lock_with_requesters(db, user_id=user_id)
    replaced = db.execute(LOCK_AVATAR, {"user_id": user_id}).fetchone() if change.avatar_id else None
    user = users.update(db, user_id=user_id, change=change)
    accepted = [] if user.is_private else follows.accept_all(db, user_id=user_id)
    if accepted:
        user = users.read_self(db, user_id=user_id)
    return AppliedChange(
        user=user,
        new_follower_ids=accepted,
        replaced_avatar_id=replaced[0] if replaced else None,
        event=outbox.add(db, ProfileUpdated.of(user)),
    )
