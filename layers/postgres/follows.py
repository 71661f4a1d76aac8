"""Follows and follow requests."""

from typing import Final, Literal, LiteralString
from uuid import UUID

import msgspec

from layers.core.errors import RequestNotFound, UserNotFound
from layers.core.models import Requester, UserCard, UserRef, Viewer
from layers.core.pages import Row, Window
from layers.postgres.columns import CARD
from layers.postgres.connection import Connection, fetch_visible_list, list_row, viewer_values
from layers.postgres.rows import class_row


class FollowResult(msgspec.Struct, frozen=True):
    """The result of following an account."""

    status: Literal["following", "requested"]
    is_new: bool
    """False if there was a follow or a request before."""


FOLLOW_PUBLIC: Final = """
    WITH accounts AS (
        SELECT id, is_private, banned_at FROM users
         WHERE id IN (%(follower_id)s, %(target_id)s) ORDER BY id FOR NO KEY UPDATE
    ), target AS (
        SELECT id, is_private FROM accounts WHERE id = %(target_id)s AND banned_at IS NULL
    ), followed AS (
        INSERT INTO follows (follower_id, following_id)
        SELECT %(follower_id)s, id FROM target WHERE NOT is_private
        ON CONFLICT DO NOTHING RETURNING following_id
    ), counted AS (
        UPDATE users
           SET follower_count = follower_count + CASE WHEN users.id = %(target_id)s THEN 1 ELSE 0 END,
               following_count = following_count + CASE WHEN users.id = %(follower_id)s THEN 1 ELSE 0 END
          FROM followed WHERE users.id IN (%(follower_id)s, %(target_id)s)
    )
    SELECT is_private, EXISTS (SELECT FROM followed) FROM target
"""
# A follow changes counters of both accounts. They are locked first and in order, so that two accounts that follow each
# other at the same time never deadlock.


def follow_public(db: Connection, *, follower_id: UUID, target_id: UUID) -> FollowResult | None:
    """Follow an account, if it is public, in one statement; None for a private one. May be repeated.

    Raises `UserNotFound`.
    """
    row = db.execute(FOLLOW_PUBLIC, {"follower_id": follower_id, "target_id": target_id}).fetchone()
    if row is None:
        raise UserNotFound
    is_private, is_new = row
    return None if is_private else FollowResult(status="following", is_new=is_new)


LOCK_BOTH: Final = """
    SELECT id FROM users WHERE id IN (%(follower_id)s, %(target_id)s) ORDER BY id FOR NO KEY UPDATE
"""
# A statement of its own, so that those after it see what was committed while it waited.

FOLLOW: Final = """
    WITH target AS (
        SELECT id, is_private FROM users WHERE id = %(target_id)s AND banned_at IS NULL
    ), existing AS (
        SELECT true AS found FROM follows WHERE follower_id = %(follower_id)s AND following_id = %(target_id)s
    ), followed AS (
        INSERT INTO follows (follower_id, following_id)
        SELECT %(follower_id)s, id FROM target WHERE NOT is_private
        ON CONFLICT DO NOTHING RETURNING following_id
    ), requested AS (
        INSERT INTO follow_requests (requester_id, target_id)
        SELECT %(follower_id)s, id FROM target WHERE is_private AND NOT EXISTS (SELECT FROM existing)
        ON CONFLICT DO NOTHING RETURNING target_id
    )
    SELECT CASE WHEN target.is_private AND NOT EXISTS (SELECT FROM existing)
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
    """Follow a public account, or request to follow a private one; may be repeated. Raises `UserNotFound`."""
    accounts = {"follower_id": follower_id, "target_id": target_id}
    db.execute(LOCK_BOTH, accounts)
    with db.cursor(row_factory=class_row(FollowResult)) as cursor:
        followed = cursor.execute(FOLLOW, accounts).fetchone()
    if followed is None:
        raise UserNotFound
    if followed.is_new and followed.status == "following":
        db.execute(UPDATE_COUNTS, accounts | {"change": 1})
    return followed


END_FOLLOW: Final = """
    WITH accounts AS (
        SELECT id FROM users WHERE id IN (%(follower_id)s, %(target_id)s) ORDER BY id FOR NO KEY UPDATE
    ), ended AS (
        DELETE FROM follows
         WHERE follower_id = %(follower_id)s AND following_id = %(target_id)s AND (SELECT count(*) FROM accounts) > 0
        RETURNING following_id
    ), counted AS (
        UPDATE users
           SET follower_count = follower_count - CASE WHEN users.id = %(target_id)s THEN 1 ELSE 0 END,
               following_count = following_count - CASE WHEN users.id = %(follower_id)s THEN 1 ELSE 0 END
          FROM ended WHERE users.id IN (%(follower_id)s, %(target_id)s)
    )
    SELECT EXISTS (SELECT FROM ended)
"""


def end_follow(db: Connection, *, follower_id: UUID, target_id: UUID) -> bool:
    """End a follow in one statement; False if there is none, and then `unfollow` knows whether there is a request."""
    row = db.execute(END_FOLLOW, {"follower_id": follower_id, "target_id": target_id}).fetchone()
    return row is not None and bool(row[0])


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
    """End a follow or withdraw a request; False if there was neither.

    Raises `UserNotFound`, also for a banned account unless there was a follow or a request.
    """
    accounts = {"follower_id": follower_id, "target_id": target_id}
    db.execute(LOCK_BOTH, accounts)
    row = db.execute(UNFOLLOW, accounts).fetchone()
    if row is None:
        raise UserNotFound
    ended, withdrawn = row
    if ended:
        db.execute(UPDATE_COUNTS, accounts | {"change": -1})
    return bool(ended or withdrawn)


BEFORE_ALL: Final = UUID(int=0)

READ_FOLLOWER_IDS: Final = """
    SELECT follower_id
      FROM follows
     WHERE following_id = %(user_id)s AND follower_id > %(after)s
     ORDER BY follower_id
     LIMIT %(at_most)s
"""


def read_follower_ids(db: Connection, *, user_id: UUID, after: UUID = BEFORE_ALL, at_most: int) -> list[UUID]:
    """The ids of a user's followers after `after`, in order."""
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
    """The followers of an account, newest first, without banned accounts (admins see those too).

    Raises `UserNotFound`, and `NotAllowed` for a private account that the viewer may not view.
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
    """The accounts that an account follows, newest first; otherwise as `list_followers`."""
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
    """Requests to follow the user, newest first, without those of banned accounts."""
    with db.cursor(row_factory=list_row(Requester, keys=2)) as cursor:
        return cursor.execute(LIST_REQUESTS, {"user_id": user_id, **_window_values(window)}).fetchall()


ACCEPT: Final = """
    WITH request AS (
        DELETE FROM follow_requests r USING users u
         WHERE r.requester_id = %(follower_id)s AND r.target_id = %(target_id)s
           AND u.id = r.requester_id AND u.banned_at IS NULL
        RETURNING r.requester_id, r.target_id
    ), followed AS (
        INSERT INTO follows (follower_id, following_id) SELECT requester_id, target_id FROM request
        ON CONFLICT DO NOTHING RETURNING true
    )
    SELECT EXISTS (SELECT FROM followed),
           EXISTS (SELECT FROM follows WHERE follower_id = %(follower_id)s AND following_id = %(target_id)s)
"""


def accept(db: Connection, *, follower_id: UUID, target_id: UUID) -> bool:
    """Accept a follow request; False if the account is a follower already.

    Raises `RequestNotFound` if it is neither a requester nor a follower, or if it is banned.
    """
    accounts = {"follower_id": follower_id, "target_id": target_id}
    db.execute(LOCK_BOTH, accounts)
    is_new, was_following = db.execute(ACCEPT, accounts).fetchone() or (False, False)
    if is_new:
        db.execute(UPDATE_COUNTS, accounts | {"change": 1})
    elif not was_following:
        raise RequestNotFound
    return bool(is_new)


DECLINE: Final = "DELETE FROM follow_requests WHERE requester_id = %(follower_id)s AND target_id = %(target_id)s"


def decline(db: Connection, *, follower_id: UUID, target_id: UUID) -> bool:
    """Delete a follow request; False if there was none."""
    return db.execute(DECLINE, {"follower_id": follower_id, "target_id": target_id}).rowcount > 0


LOCK_WITH_REQUESTERS: Final = """
    SELECT id FROM users
     WHERE id = %(user_id)s OR id IN (SELECT requester_id FROM follow_requests WHERE target_id = %(user_id)s)
     ORDER BY id FOR NO KEY UPDATE
"""

ACCEPT_ALL: Final = """
    WITH requests AS (
        DELETE FROM follow_requests WHERE target_id = %(user_id)s RETURNING requester_id
    ), followed AS (
        INSERT INTO follows (follower_id, following_id) SELECT requester_id, %(user_id)s FROM requests
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
    """Lock an account and all accounts that have requested to follow it, in the order of their ids.

    A request may arrive while this waits for locks. Its account could only be locked out of order, which might cause a
    deadlock, so all locks are released and taken again.
    """
    from psycopg import Rollback  # noqa: PLC0415 (loaded with the connection)

    person = {"user_id": user_id}
    is_complete = False
    while not is_complete:
        with db.transaction() as locks:
            locked = {row[0] for row in db.execute(LOCK_WITH_REQUESTERS, person)}
            is_complete = all(row[0] in locked for row in db.execute(READ_REQUESTER_IDS, person))
            if not is_complete:
                raise Rollback(locks)


def accept_all(db: Connection, *, user_id: UUID) -> list[UUID]:
    """Accept all follow requests, for an account that has become public; returns the ids of the new followers."""
    return [row[0] for row in db.execute(ACCEPT_ALL, {"user_id": user_id})]


def _window_values(window: Window[tuple[str, UUID]]) -> dict[str, object]:
    after_time, after_id = window.after
    return {"after_time": after_time, "after_id": after_id, "at_most": window.at_most}
