"""Who follows whom, and who asks to."""

from typing import Final, Literal
from uuid import UUID

import msgspec

from layers.core.errors import UserNotFound
from layers.postgres.connection import Connection, rows_as


class Followed(msgspec.Struct, frozen=True):
    """What a follow came to."""

    status: Literal["following", "requested"]
    is_new: bool


LOCK: Final = """
    SELECT id FROM users WHERE id IN (%(follower_id)s, %(target_id)s) ORDER BY id FOR NO KEY UPDATE
"""
# Both counters change with the follow: locked first and in order, two people following each other never deadlock.

FOLLOW: Final = """
    WITH target AS (
        SELECT id, is_private FROM users WHERE id = %(target_id)s AND banned_at IS NULL
    ), already AS (
        SELECT true AS found FROM follows WHERE follower_id = %(follower_id)s AND following_id = %(target_id)s
    ), followed AS (
        INSERT INTO follows (follower_id, following_id)
        SELECT %(follower_id)s, id FROM target WHERE NOT is_private
        ON CONFLICT DO NOTHING RETURNING following_id
    ), requested AS (
        INSERT INTO follow_requests (requester_id, target_id)
        SELECT %(follower_id)s, id FROM target WHERE is_private AND NOT EXISTS (SELECT FROM already)
        ON CONFLICT DO NOTHING RETURNING target_id
    )
    SELECT CASE WHEN target.is_private AND NOT EXISTS (SELECT FROM already)
                THEN 'requested' ELSE 'following' END AS status,
           EXISTS (SELECT FROM followed) OR EXISTS (SELECT FROM requested) AS is_new
      FROM target
"""

COUNT: Final = """
    UPDATE users
       SET follower_count = follower_count + CASE WHEN id = %(target_id)s THEN %(change)s ELSE 0 END,
           following_count = following_count + CASE WHEN id = %(follower_id)s THEN %(change)s ELSE 0 END
     WHERE id IN (%(follower_id)s, %(target_id)s)
"""


def follow(db: Connection, *, follower_id: UUID, target_id: UUID) -> Followed:
    """Follow a public account at once, ask a private one; twice counts once."""
    people = {"follower_id": follower_id, "target_id": target_id}
    db.execute(LOCK, people)
    with db.cursor(row_factory=rows_as(Followed)) as cursor:
        followed = cursor.execute(FOLLOW, people).fetchone()
    if followed is None:
        raise UserNotFound
    if followed.is_new and followed.status == "following":
        db.execute(COUNT, people | {"change": 1})
    return followed


UNFOLLOW: Final = """
    WITH ended AS (
        DELETE FROM follows WHERE follower_id = %(follower_id)s AND following_id = %(target_id)s RETURNING true
    ), withdrawn AS (
        DELETE FROM follow_requests
         WHERE requester_id = %(follower_id)s AND target_id = %(target_id)s RETURNING true
    )
    SELECT EXISTS (SELECT FROM ended), EXISTS (SELECT FROM withdrawn) FROM users WHERE id = %(target_id)s
"""


def unfollow(db: Connection, *, follower_id: UUID, target_id: UUID) -> bool:
    """End a follow or withdraw a request; whether there was one."""
    people = {"follower_id": follower_id, "target_id": target_id}
    db.execute(LOCK, people)
    row = db.execute(UNFOLLOW, people).fetchone()
    if row is None:
        raise UserNotFound
    ended, withdrawn = row
    if ended:
        db.execute(COUNT, people | {"change": -1})
    return bool(ended or withdrawn)


FOLLOWER_IDS: Final = """
    SELECT follower_id
      FROM follows
     WHERE following_id = %(user_id)s AND (%(after)s::uuid IS NULL OR follower_id > %(after)s)
     ORDER BY follower_id
     LIMIT %(at_most)s
"""


def follower_ids(db: Connection, *, user_id: UUID, after: UUID | None = None, at_most: int) -> list[UUID]:
    """The next followers of a user, ordered by id."""
    rows = db.execute(FOLLOWER_IDS, {"user_id": user_id, "after": after, "at_most": at_most}).fetchall()
    return [row[0] for row in rows]
