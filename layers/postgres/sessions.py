"""Sessions (R-A1 to R-A3): PostgreSQL has the rows of record, and Valkey holds copies.

The table contains hashes of session ids, so that its content cannot be used to sign in
(docs/decisions/0013-sessions-in-postgresql.md).
"""

import hashlib
import secrets
from typing import Final, NamedTuple
from uuid import UUID

from layers.core.ids import new_id
from layers.core.limits import SESSION_SECONDS
from layers.core.models import Revocation, Session
from layers.core.settings import settings
from layers.postgres.connection import Connection
from layers.postgres.rows import class_row

_ID_BYTES = 32

START: Final = """
    INSERT INTO sessions (id_hash, user_id, expires_at, ends_at)
    VALUES (%(id_hash)s, %(user_id)s, now() + %(seconds)s * interval '1 s', now() + %(days)s * interval '1 day')
"""


def start(db: Connection, *, user_id: UUID) -> str:
    """Start a session; returns its id, which has 256 random bits."""
    session_id = secrets.token_urlsafe(_ID_BYTES)
    values = {
        "id_hash": _hash(session_id),
        "user_id": user_id,
        "seconds": SESSION_SECONDS,
        "days": settings().session_absolute_days,
    }
    db.execute(START, values)
    return session_id


FIND: Final = """
    SELECT u.id, u.username, u.role, ceil(extract(epoch FROM s.ends_at - now()))::integer,
           s.expires_at < least(s.ends_at, now() + %(seconds)s * interval '1 s') - interval '15 min'
      FROM sessions s JOIN users u ON u.id = s.user_id
     WHERE s.id_hash = %(id_hash)s AND s.expires_at > now() AND u.banned_at IS NULL
"""


class FoundSession(NamedTuple):
    """A live session."""

    session: Session
    seconds: int
    """Until its absolute end."""
    extension_due: bool
    """Whether its expiry should be extended: at most every 15 min, so that most requests write nothing."""


def find(db: Connection, *, session_id: str) -> FoundSession | None:
    """Find a live session."""
    row = db.execute(FIND, {"id_hash": _hash(session_id), "seconds": SESSION_SECONDS}).fetchone()
    if row is None:
        return None
    user_id, username, role, seconds, extension_due = row
    return FoundSession(Session(id=session_id, user_id=user_id, username=username, role=role), seconds, extension_due)


EXTEND: Final = """
    UPDATE sessions
       SET expires_at = least(ends_at, now() + %(seconds)s * interval '1 s')
     WHERE id_hash = %(id_hash)s AND expires_at > now()
"""


def extend(db: Connection, *, session_id: str) -> None:
    """Extend a session's expiry to 24 h from now, at most to its absolute end."""
    db.execute(EXTEND, {"id_hash": _hash(session_id), "seconds": SESSION_SECONDS})


END: Final = """
    WITH ended AS (DELETE FROM sessions WHERE id_hash = %(id_hash)s RETURNING id_hash)
    INSERT INTO revocations (id, session_id) SELECT %(revocation_id)s, %(session_id)s FROM ended
    RETURNING id
"""


def end(db: Connection, *, session_id: str) -> Revocation | None:
    """End a session; returns the revocation that Valkey must apply, or None if there was no such session."""
    values = {"id_hash": _hash(session_id), "session_id": session_id, "revocation_id": new_id()}
    row = db.execute(END, values).fetchone()
    return Revocation(id=row[0], session_id=session_id) if row else None


REVOKE: Final = "INSERT INTO revocations (id, user_id) VALUES (%(revocation_id)s, %(user_id)s)"


def reload_all(db: Connection, *, user_id: UUID) -> Revocation:
    """Make Valkey read a user's sessions again, after a change of role or the end of a ban.

    Returns the revocation that Valkey must apply.
    """
    return _revoke(db, user_id, is_banned=False)


END_ALL: Final = "DELETE FROM sessions WHERE user_id = %(user_id)s"


def end_all(db: Connection, *, user_id: UUID) -> Revocation:
    """End all sessions of a user who is banned or removed in this transaction.

    Returns the revocation that Valkey must apply. The caller must have locked the account's row against new sessions
    (`FOR UPDATE`).
    """
    db.execute(END_ALL, {"user_id": user_id})
    return _revoke(db, user_id, is_banned=True)


def _revoke(db: Connection, user_id: UUID, *, is_banned: bool) -> Revocation:
    revocation = Revocation(id=new_id(), user_id=user_id, is_banned=is_banned)
    db.execute(REVOKE, {"revocation_id": revocation.id, "user_id": user_id})
    return revocation


DELETE_REVOCATION: Final = "DELETE FROM revocations WHERE id = %(revocation_id)s"


def delete_revocation(db: Connection, *, revocation: Revocation) -> None:
    """Delete a revocation that Valkey has applied; one that stays is applied again, which is harmless."""
    db.execute(DELETE_REVOCATION, {"revocation_id": revocation.id})


READ_REVOCATIONS: Final = """
    SELECT r.id, r.session_id, r.user_id,
           r.user_id IS NOT NULL AND (u.id IS NULL OR u.banned_at IS NOT NULL) AS is_banned
      FROM revocations r LEFT JOIN users u ON u.id = r.user_id
     ORDER BY r.id
"""
# `is_banned` is the state now and not when the revocation was written, which may have been some time ago.


def read_revocations(db: Connection) -> list[Revocation]:
    """Revocations that Valkey may not have applied yet."""
    with db.cursor(row_factory=class_row(Revocation)) as cursor:
        return cursor.execute(READ_REVOCATIONS).fetchall()


DELETE_EXPIRED: Final = "DELETE FROM sessions WHERE expires_at < now()"
DELETE_OLD_REVOCATIONS: Final = "DELETE FROM revocations WHERE created_at < now() - %(seconds)s * interval '1 s'"


def delete_expired(db: Connection, *, revocations_older_than_seconds: int = SESSION_SECONDS) -> int:
    """Delete expired sessions, and revocations whose sessions have expired in Valkey too; returns their number."""
    expired = db.execute(DELETE_EXPIRED).rowcount
    return expired + db.execute(DELETE_OLD_REVOCATIONS, {"seconds": revocations_older_than_seconds}).rowcount


def _hash(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
