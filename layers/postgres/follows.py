"""Who follows whom, and who asks to."""

from typing import Final, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg import Rollback
from psycopg.rows import class_row

from layers.core.errors import RequestNotFound, UserNotFound
from layers.core.models import Requester, UserCard, UserRef, Viewer
from layers.core.pages import Row, Window
from layers.postgres.columns import CARD
from layers.postgres.connection import Connection, fetch_visible_list, list_row, viewer_values


class FollowResult(msgspec.Struct, frozen=True):
    """What a follow came to."""

    status: Literal["following", "requested"]
    is_new: bool


LOCK_PAIR: Final = """
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

UPDATE_COUNTS: Final = """
    UPDATE users
       SET follower_count = follower_count + CASE WHEN id = %(target_id)s THEN %(change)s ELSE 0 END,
           following_count = following_count + CASE WHEN id = %(follower_id)s THEN %(change)s ELSE 0 END
     WHERE id IN (%(follower_id)s, %(target_id)s)
"""


def follow(db: Connection, *, follower_id: UUID, target_id: UUID) -> FollowResult:
    """Follow a public account at once, ask a private one; twice counts once."""
    people = {"follower_id": follower_id, "target_id": target_id}
    db.execute(LOCK_PAIR, people)
    with db.cursor(row_factory=class_row(FollowResult)) as cursor:
        followed = cursor.execute(FOLLOW, people).fetchone()
    if followed is None:
        raise UserNotFound
    if followed.is_new and followed.status == "following":
        db.execute(UPDATE_COUNTS, people | {"change": 1})
    return followed


UNFOLLOW: Final = """
    WITH ended AS (
        DELETE FROM follows WHERE follower_id = %(follower_id)s AND following_id = %(target_id)s RETURNING true
    ), withdrawn AS (
        DELETE FROM follow_requests
         WHERE requester_id = %(follower_id)s AND target_id = %(target_id)s RETURNING true
    )
    SELECT EXISTS (SELECT FROM ended), EXISTS (SELECT FROM withdrawn)
      FROM users
     WHERE id = %(target_id)s AND (banned_at IS NULL OR EXISTS (SELECT FROM ended) OR EXISTS (SELECT FROM withdrawn))
"""


def unfollow(db: Connection, *, follower_id: UUID, target_id: UUID) -> bool:
    """End a follow or withdraw a request; whether there was one. A banned account is known to its followers alone."""
    people = {"follower_id": follower_id, "target_id": target_id}
    db.execute(LOCK_PAIR, people)
    row = db.execute(UNFOLLOW, people).fetchone()
    if row is None:
        raise UserNotFound
    ended, withdrawn = row
    if ended:
        db.execute(UPDATE_COUNTS, people | {"change": -1})
    return bool(ended or withdrawn)


READ_FOLLOWER_IDS: Final = """
    SELECT follower_id
      FROM follows
     WHERE following_id = %(user_id)s AND (%(after)s::uuid IS NULL OR follower_id > %(after)s)
     ORDER BY follower_id
     LIMIT %(at_most)s
"""


def read_follower_ids(db: Connection, *, user_id: UUID, after: UUID | None = None, at_most: int) -> list[UUID]:
    """The next followers of a user, ordered by id."""
    rows = db.execute(READ_FOLLOWER_IDS, {"user_id": user_id, "after": after, "at_most": at_most}).fetchall()
    return [row[0] for row in rows]


LIST_FOLLOWERS: Final = f"""
    SELECT owner.allowed, listed.*
      FROM (SELECT o.id, can_view(%(viewer_id)s, %(is_admin)s, o) AS allowed
              FROM users o
             WHERE (o.id = %(id)s OR o.username = %(username)s) AND (o.banned_at IS NULL OR %(is_admin)s)) AS owner
      LEFT JOIN LATERAL (
            SELECT f.created_at AS followed_at, f.follower_id,
                   {CARD}
              FROM follows f JOIN users u ON u.id = f.follower_id
             WHERE f.following_id = owner.id AND (u.banned_at IS NULL OR %(is_admin)s)
               AND f.created_at <= %(after_time)s AND (f.created_at < %(after_time)s OR f.follower_id > %(after_id)s)
             ORDER BY f.created_at DESC, f.follower_id LIMIT %(at_most)s
           ) AS listed ON owner.allowed
     ORDER BY listed.followed_at DESC, listed.follower_id
"""


def list_followers(
    db: Connection, *, ref: UserRef, viewer: Viewer | None, window: Window[tuple[str, UUID]]
) -> list[Row[UserCard]]:
    """Who follows an account, the newest first, banned ones left out.

    Raises `UserNotFound`, or `NotAllowed` for a private account that the viewer may not view.
    """
    return _list_people(db, LIST_FOLLOWERS, ref, viewer, window)


LIST_FOLLOWING: Final = f"""
    SELECT owner.allowed, listed.*
      FROM (SELECT o.id, can_view(%(viewer_id)s, %(is_admin)s, o) AS allowed
              FROM users o
             WHERE (o.id = %(id)s OR o.username = %(username)s) AND (o.banned_at IS NULL OR %(is_admin)s)) AS owner
      LEFT JOIN LATERAL (
            SELECT f.created_at AS followed_at, f.following_id,
                   {CARD}
              FROM follows f JOIN users u ON u.id = f.following_id
             WHERE f.follower_id = owner.id AND (u.banned_at IS NULL OR %(is_admin)s)
               AND f.created_at <= %(after_time)s AND (f.created_at < %(after_time)s OR f.following_id > %(after_id)s)
             ORDER BY f.created_at DESC, f.following_id LIMIT %(at_most)s
           ) AS listed ON owner.allowed
     ORDER BY listed.followed_at DESC, listed.following_id
"""


def list_following(
    db: Connection, *, ref: UserRef, viewer: Viewer | None, window: Window[tuple[str, UUID]]
) -> list[Row[UserCard]]:
    """Whom an account follows, the newest first; as `list_followers`."""
    return _list_people(db, LIST_FOLLOWING, ref, viewer, window)


def _list_people(
    db: Connection, statement: LiteralString, ref: UserRef, viewer: Viewer | None, window: Window[tuple[str, UUID]]
) -> list[Row[UserCard]]:
    values = {"id": ref.id, "username": str(ref), **viewer_values(viewer), **_window_values(window)}
    listed = fetch_visible_list(db, statement, values, UserCard, keys=2)
    if listed is None:
        raise UserNotFound
    return listed


LIST_REQUESTS: Final = f"""
    SELECT r.created_at, r.requester_id, {CARD},
           r.created_at AS requested_at
      FROM follow_requests r JOIN users u ON u.id = r.requester_id
     WHERE r.target_id = %(user_id)s AND u.banned_at IS NULL
       AND r.created_at <= %(after_time)s AND (r.created_at < %(after_time)s OR r.requester_id > %(after_id)s)
     ORDER BY r.created_at DESC, r.requester_id LIMIT %(at_most)s
"""


def list_requests(db: Connection, *, user_id: UUID, window: Window[tuple[str, UUID]]) -> list[Row[Requester]]:
    """Who asks to follow the user, the newest first."""
    with db.cursor(row_factory=list_row(Requester, keys=2)) as cursor:
        return cursor.execute(LIST_REQUESTS, {"user_id": user_id, **_window_values(window)}).fetchall()


ACCEPT: Final = """
    WITH asked AS (
        DELETE FROM follow_requests r USING users u
         WHERE r.requester_id = %(follower_id)s AND r.target_id = %(target_id)s
           AND u.id = r.requester_id AND u.banned_at IS NULL
        RETURNING r.requester_id, r.target_id
    ), followed AS (
        INSERT INTO follows (follower_id, following_id) SELECT requester_id, target_id FROM asked
        ON CONFLICT DO NOTHING RETURNING true
    )
    SELECT EXISTS (SELECT FROM followed),
           EXISTS (SELECT FROM follows WHERE follower_id = %(follower_id)s AND following_id = %(target_id)s)
"""


def accept(db: Connection, *, follower_id: UUID, target_id: UUID) -> bool:
    """Make a request a follow; False if it is one already.

    Raises `RequestNotFound` if there is neither, and for the request of a banned account.
    """
    people = {"follower_id": follower_id, "target_id": target_id}
    db.execute(LOCK_PAIR, people)
    is_new, was_following = db.execute(ACCEPT, people).fetchone() or (False, False)
    if is_new:
        db.execute(UPDATE_COUNTS, people | {"change": 1})
    elif not was_following:
        raise RequestNotFound
    return bool(is_new)


DECLINE: Final = "DELETE FROM follow_requests WHERE requester_id = %(follower_id)s AND target_id = %(target_id)s"


def decline(db: Connection, *, follower_id: UUID, target_id: UUID) -> bool:
    """Take a request away; whether there was one."""
    return db.execute(DECLINE, {"follower_id": follower_id, "target_id": target_id}).rowcount > 0


LOCK_WITH_REQUESTERS: Final = """
    SELECT id FROM users
     WHERE id = %(user_id)s OR id IN (SELECT requester_id FROM follow_requests WHERE target_id = %(user_id)s)
     ORDER BY id FOR NO KEY UPDATE
"""

ACCEPT_ALL: Final = """
    WITH asked AS (
        DELETE FROM follow_requests WHERE target_id = %(user_id)s RETURNING requester_id
    ), followed AS (
        INSERT INTO follows (follower_id, following_id) SELECT requester_id, %(user_id)s FROM asked
        ON CONFLICT DO NOTHING RETURNING follower_id
    ), counted AS (
        UPDATE users
           SET following_count = following_count + CASE WHEN id = %(user_id)s THEN 0 ELSE 1 END,
               follower_count = follower_count
                              + CASE WHEN id = %(user_id)s THEN (SELECT count(*) FROM followed) ELSE 0 END
         WHERE id = %(user_id)s OR id IN (SELECT follower_id FROM followed)
    )
    SELECT follower_id FROM followed
"""


READ_REQUESTER_IDS: Final = "SELECT requester_id FROM follow_requests WHERE target_id = %(user_id)s"


def lock_with_requesters(db: Connection, *, user_id: UUID) -> None:
    """Lock the account and all who ask to follow it, in the order that everybody locks in.

    Somebody may ask while the locks are waited for, and must not be locked last: then all are let go and locked anew.
    """
    person = {"user_id": user_id}
    is_complete = False
    while not is_complete:
        with db.transaction() as locks:
            locked = {row[0] for row in db.execute(LOCK_WITH_REQUESTERS, person)}
            is_complete = all(row[0] in locked for row in db.execute(READ_REQUESTER_IDS, person))
            if not is_complete:
                raise Rollback(locks)


def accept_all(db: Connection, *, user_id: UUID) -> list[UUID]:
    """Make every request a follow: the account is public from now on. Who follows newly."""
    return [row[0] for row in db.execute(ACCEPT_ALL, {"user_id": user_id})]


def _window_values(window: Window[tuple[str, UUID]]) -> dict[str, object]:
    after_time, after_id = window.after
    return {"after_time": after_time, "after_id": after_id, "at_most": window.at_most}
