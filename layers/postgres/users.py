"""Accounts and their profiles."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

import msgspec

from layers.core.errors import AlreadyTaken, UserNotFound
from layers.core.models import Role, UserCard, UserProfile, UserRef, UserSelf, Viewer
from layers.postgres.columns import ACCOUNT, CARD
from layers.postgres.connection import Connection, viewer_values
from layers.postgres.rows import class_row

CREATE: Final = f"""
    INSERT INTO users AS u (id, username, email, password_hash, display_name)
    VALUES (%(user_id)s, %(username)s, %(email)s, %(password_hash)s, %(display_name)s)
    RETURNING {ACCOUNT}
"""


def create(
    db: Connection, *, user_id: UUID, username: str, email: str, password_hash: str, display_name: str
) -> UserSelf:
    """Create an account; raises `AlreadyTaken` if the username or the e-mail address is in use."""
    values = {
        "user_id": user_id,
        "username": username,
        "email": email,
        "password_hash": password_hash,
        "display_name": display_name,
    }
    from psycopg.errors import UniqueViolation  # noqa: PLC0415 (loaded with the connection)

    with db.cursor(row_factory=class_row(UserSelf)) as cursor:
        try:
            created = cursor.execute(CREATE, values).fetchone()
        except UniqueViolation:
            raise AlreadyTaken from None
    if created is None:
        raise UserNotFound
    return created


READ_SELF: Final = f"""
    SELECT {ACCOUNT}
      FROM users u
     WHERE u.id = %(user_id)s AND u.banned_at IS NULL
"""


def read_self(db: Connection, *, user_id: UUID) -> UserSelf:
    """The caller's own account; raises `UserNotFound`, also for a banned one."""
    with db.cursor(row_factory=class_row(UserSelf)) as cursor:
        found = cursor.execute(READ_SELF, {"user_id": user_id}).fetchone()
    if found is None:
        raise UserNotFound
    return found


READ_PROFILE: Final = """
    SELECT u.id, u.username, u.display_name, u.bio, u.profile_picture_url, u.follower_count, u.following_count,
           u.post_count, u.is_private, u.is_verified, u.created_at,
           f.follower_id IS NOT NULL AS is_following,
           CASE WHEN f.follower_id IS NOT NULL THEN 'following'
                WHEN r.requester_id IS NOT NULL THEN 'requested'
                ELSE 'none' END AS follow_status
      FROM users u
      LEFT JOIN follows f ON f.follower_id = %(viewer_id)s AND f.following_id = u.id
      LEFT JOIN follow_requests r ON r.requester_id = %(viewer_id)s AND r.target_id = u.id
     WHERE (u.id = %(id)s OR u.username = %(username)s) AND (u.banned_at IS NULL OR %(is_admin)s)
"""


def read_profile(db: Connection, *, ref: UserRef, viewer: Viewer | None) -> UserProfile:
    """The profile of an account, also of a private one.

    Raises `UserNotFound`, also for a banned account unless the viewer is an admin.
    """
    values = {"id": ref.id, "username": str(ref), **viewer_values(viewer)}
    with db.cursor(row_factory=class_row(UserProfile)) as cursor:
        found = cursor.execute(READ_PROFILE, values).fetchone()
    if found is None:
        raise UserNotFound
    return found


SEARCH: Final = f"""
    WITH RECURSIVE asked AS MATERIALIZED (
        SELECT folded(%(part)s) AS part, containing(folded(%(part)s)) AS pattern
    ), found (level, ids, missing) AS (
        SELECT follower_level(2147483647) + 1, '{{}}'::uuid[], %(at_most)s::integer
         UNION ALL
        SELECT found.level - 1, page.ids, found.missing - cardinality(page.ids)
          FROM found CROSS JOIN LATERAL (
                SELECT ARRAY(
                    SELECT matching.id
                      FROM (SELECT u.id, u.follower_count, u.username
                              FROM users u
                             WHERE search_keys(u.follower_level, u.username || ' ' || folded(u.display_name))
                                   @> search_keys(found.level - 1, (SELECT part FROM asked))
                               AND (u.username LIKE (SELECT pattern FROM asked)
                                    OR folded(u.display_name) LIKE (SELECT pattern FROM asked))
                               AND (u.banned_at IS NULL OR %(is_admin)s)
                             LIMIT CASE WHEN found.level = 1 THEN found.missing END) AS matching
                     ORDER BY matching.follower_count DESC, matching.username LIMIT found.missing
                ) AS ids OFFSET 0
          ) AS page
         WHERE found.missing > 0 AND found.level > 0
    )
    SELECT {CARD}
      FROM found CROSS JOIN unnest(found.ids) AS page (id) JOIN users u ON u.id = page.id
     ORDER BY u.follower_count DESC, u.username
"""
# One level of followers after the other, from the highest, so that a text that very many names contain costs no more
# than another. Accounts of level 0 have no followers, and any of them will do. A name with all keys of a text may lack
# the text itself, so names are compared as well.


def search(db: Connection, *, part: str, viewer: Viewer | None, at_most: int) -> list[UserCard]:
    """Accounts whose username or display name contains the text, in any case; those with most followers first."""
    with db.cursor(row_factory=class_row(UserCard)) as cursor:
        return cursor.execute(SEARCH, {"part": part, **viewer_values(viewer), "at_most": at_most}).fetchall()


class ProfilePatch(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a profile; None leaves a field unchanged."""

    display_name: str | None = None
    """The empty string means the username."""
    bio: str | None = None
    """The empty string means no bio."""
    is_private: bool | None = None
    avatar_id: UUID | None = None
    """The id of a picture that is stored."""


UPDATE: Final = f"""
    UPDATE users AS u
       SET display_name = coalesce(nullif(%(display_name)s, ''),
                                   CASE WHEN %(display_name)s IS NULL THEN u.display_name ELSE u.username END),
           bio = CASE WHEN %(bio)s::text IS NULL THEN u.bio ELSE nullif(%(bio)s, '') END,
           is_private = coalesce(%(is_private)s, u.is_private),
           avatar_id = coalesce(%(avatar_id)s, u.avatar_id),
           updated_at = greatest(now(), u.updated_at + interval '1 ms')
     WHERE u.id = %(user_id)s AND u.banned_at IS NULL
    RETURNING {ACCOUNT}
"""


def update(db: Connection, *, user_id: UUID, change: ProfilePatch) -> UserSelf:
    """Change a profile; returns the changed account, with a later `updated_at`. Raises `UserNotFound`."""
    values = {**msgspec.structs.asdict(change), "user_id": user_id}
    with db.cursor(row_factory=class_row(UserSelf)) as cursor:
        updated = cursor.execute(UPDATE, values).fetchone()
    if updated is None:
        raise UserNotFound
    return updated


class Credentials(msgspec.Struct, frozen=True):
    """The data against which a login is checked."""

    user_id: UUID
    password_hash: str
    is_banned: bool


READ_CREDENTIALS: Final = """
    SELECT id AS user_id, password_hash, banned_at IS NOT NULL AS is_banned
      FROM users
     WHERE username = %(login)s OR email = %(login)s
"""


def read_credentials(db: Connection, *, login: str) -> Credentials | None:
    """The credentials for a username or an e-mail address, both in lower case; None if there is no such account."""
    with db.cursor(row_factory=class_row(Credentials)) as cursor:
        return cursor.execute(READ_CREDENTIALS, {"login": login}).fetchone()


READ_CARDS: Final = f"""
    SELECT {CARD}
      FROM users u WHERE u.id = ANY(%(user_ids)s) AND u.banned_at IS NULL
"""


def read_cards(db: Connection, *, user_ids: Collection[UUID]) -> dict[UUID, UserCard]:
    """The cards of those of these accounts that exist and are not banned, by id."""
    with db.cursor(row_factory=class_row(UserCard)) as cursor:
        return {card.id: card for card in cursor.execute(READ_CARDS, {"user_ids": list(user_ids)})}


GRANT: Final = "UPDATE users SET role = %(role)s, updated_at = now() WHERE username = %(username)s RETURNING id"


def grant(db: Connection, *, username: str, role: Role) -> UUID:
    """Change the role of an account; returns its id. Raises `UserNotFound`."""
    row = db.execute(GRANT, {"username": username, "role": role}).fetchone()
    if row is None:
        raise UserNotFound
    granted: UUID = row[0]
    return granted
