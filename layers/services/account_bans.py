"""Banning and unbanning an account, in all stores."""

from uuid import UUID

from layers.core.errors import Invalid
from layers.core.events import OutboxEvent
from layers.core.models import Admin, Revocation
from layers.postgres import bans, outbox
from layers.postgres.bans import BanChange
from layers.services import admin_actions, fan_out, relay, sessions


def ban(user_id: UUID, admin: Admin, *, mode: str) -> BanChange:
    """Ban an account and end its sessions; may be repeated. `mode` is recorded in the audit trail.

    Raises `Invalid` for the admin's own account, `NotAllowed` for the account of another admin, and `UserNotFound`.
    """
    with admin_actions.audited_transaction(
        viewer=admin, action="ban_user", target_id=user_id, details={"mode": mode}
    ) as db:
        if user_id == admin.id:
            raise Invalid.field("user", "you cannot ban or remove yourself")
        change = bans.ban(db, user_id=user_id)
        event = outbox.add(db, change.profile)
    _propagate(change.revocation, event)
    return change


def unban(user_id: UUID, admin: Admin) -> BanChange:
    """End a ban and show the account's posts in feeds again; may be repeated. Raises `UserNotFound`."""
    with admin_actions.audited_transaction(viewer=admin, action="unban_user", target_id=user_id) as db:
        change = bans.unban(db, user_id=user_id)
        event = outbox.add(db, change.profile)
    _propagate(change.revocation, event)
    fan_out.show_again(user_id)
    return change


def _propagate(revocation: Revocation, event: OutboxEvent) -> None:
    sessions.apply_revocation(revocation)
    relay.publish(event)
