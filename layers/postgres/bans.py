"""Bans: only admins see a banned account and its content (R-P1), and all its sessions end (R-A3)."""

from typing import Final
from uuid import UUID

import msgspec

from layers.core.errors import NotAllowed, UserNotFound
from layers.core.events import ProfileUpdated
from layers.core.models import Revocation
from layers.postgres import sessions
from layers.postgres.connection import Connection
from layers.postgres.rows import class_row


class BanChange(msgspec.Struct, frozen=True):
    """The result of a ban, or of its end."""

    username: str
    is_new: bool
    """False if the account was in this state before."""
    revocation: Revocation
    """The revocation that Valkey must apply."""
    profile: ProfileUpdated
    """The event for copies of the account."""


LOCK: Final = "SELECT username, role FROM users WHERE id = %(user_id)s FOR UPDATE"


def lock_account(db: Connection, *, user_id: UUID) -> str:
    """Lock an account against new rows that refer to it, such as sessions; returns its username.

    Raises `UserNotFound`, and `NotAllowed` for the account of an admin.
    """
    username, role = _lock(db, user_id)
    if role == "admin":
        raise NotAllowed("An admin cannot be banned or removed.")
    return username


BAN: Final = "UPDATE users SET banned_at = now() WHERE id = %(user_id)s AND banned_at IS NULL"


def ban(db: Connection, *, user_id: UUID) -> BanChange:
    """Ban an account and end all its sessions; may be repeated.

    Raises `UserNotFound`, and `NotAllowed` for the account of an admin.
    """
    username = lock_account(db, user_id=user_id)
    is_new = db.execute(BAN, {"user_id": user_id}).rowcount > 0
    revocation = sessions.end_all(db, user_id=user_id)
    return BanChange(username=username, is_new=is_new, revocation=revocation, profile=_read_profile(db, user_id))


UNBAN: Final = "UPDATE users SET banned_at = NULL WHERE id = %(user_id)s AND banned_at IS NOT NULL"


def unban(db: Connection, *, user_id: UUID) -> BanChange:
    """End a ban; may be repeated. Raises `UserNotFound`."""
    username, _ = _lock(db, user_id)
    is_new = db.execute(UNBAN, {"user_id": user_id}).rowcount > 0
    revocation = sessions.reload_all(db, user_id=user_id)
    return BanChange(username=username, is_new=is_new, revocation=revocation, profile=_read_profile(db, user_id))


READ_PROFILE: Final = """
    SELECT u.id AS user_id, u.username, u.display_name, u.profile_picture_url, now() AS updated_at,
           u.banned_at IS NOT NULL AS is_hidden
      FROM users u WHERE u.id = %(user_id)s
"""


def _read_profile(db: Connection, user_id: UUID) -> ProfileUpdated:
    with db.cursor(row_factory=class_row(ProfileUpdated)) as cursor:
        found = cursor.execute(READ_PROFILE, {"user_id": user_id}).fetchone()
    if found is None:
        raise UserNotFound
    return found


def _lock(db: Connection, user_id: UUID) -> tuple[str, str]:
    row: tuple[str, str] | None = db.execute(LOCK, {"user_id": user_id}).fetchone()
    if row is None:
        raise UserNotFound
    return row
