"""Removing accounts with all their rows, while the counters of other rows stay exact (R-I3).

All transactions lock posts, comments and stories before accounts, and rows of one table in the order of their ids, and
so does this one. The row of the removed account is locked last, against new rows that refer to it. Running requests can
add rows before that lock is taken, so the other locks are taken once more after it.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from layers.core.models import PostCounts, Revocation
from layers.postgres import bans, sessions
from layers.postgres.connection import Connection
from layers.postgres.rows import class_row

LOCK_POSTS: Final = """
    SELECT FROM posts
     WHERE id IN (SELECT id FROM posts WHERE user_id = %(user_id)s
                   UNION SELECT post_id FROM likes WHERE user_id = %(user_id)s
                   UNION SELECT post_id FROM comments WHERE user_id = %(user_id)s
                   UNION SELECT c.post_id FROM comment_likes l JOIN comments c ON c.id = l.comment_id
                          WHERE l.user_id = %(user_id)s)
     ORDER BY id FOR NO KEY UPDATE
"""
# Adding and deleting comments lock the post, so with these locks the threads do not change.

LOCK_COMMENTS: Final = """
    SELECT FROM comments
     WHERE id IN (SELECT comment_id FROM comment_likes WHERE user_id = %(user_id)s
                   UNION SELECT parent_id FROM comments WHERE user_id = %(user_id)s)
     ORDER BY id FOR NO KEY UPDATE
"""

LOCK_STORIES: Final = """
    SELECT FROM stories
     WHERE id IN (SELECT story_id FROM story_views WHERE viewer_id = %(user_id)s)
     ORDER BY id FOR NO KEY UPDATE
"""

LOCK_ACCOUNTS: Final = """
    SELECT FROM users
     WHERE id IN (SELECT %(user_id)s
                   UNION SELECT following_id FROM follows WHERE follower_id = %(user_id)s
                   UNION SELECT follower_id FROM follows WHERE following_id = %(user_id)s)
     ORDER BY id FOR NO KEY UPDATE
"""

LOCKS: Final = (LOCK_POSTS, LOCK_COMMENTS, LOCK_STORIES, LOCK_ACCOUNTS)


class RemovedPost(msgspec.Struct, frozen=True):
    """A post of the account, in any state."""

    id: UUID
    original_keys: list[str]
    """The key of each picture's original, in order."""


READ_POSTS: Final = """
    SELECT p.id,
           ARRAY(SELECT m.original_key FROM post_media m WHERE m.post_id = p.id ORDER BY m.order_index) AS original_keys
      FROM posts p
     WHERE p.user_id = %(user_id)s
"""
READ_STORY_IDS: Final = "SELECT id FROM stories WHERE user_id = %(user_id)s"
READ_UPLOADS: Final = "SELECT id, expires_at FROM uploads WHERE user_id = %(user_id)s"

REMOVE_COMMENTS: Final = """
    WITH RECURSIVE thread AS (
        SELECT id FROM comments WHERE user_id = %(user_id)s
         UNION
        SELECT c.id FROM comments c JOIN thread t ON c.parent_id = t.id
    ), removed AS (
        DELETE FROM comments WHERE id IN (SELECT id FROM thread) RETURNING id, post_id, parent_id
    ), replied AS (
        UPDATE comments SET reply_count = reply_count - lost.replies
          FROM (SELECT parent_id, count(*) AS replies FROM removed GROUP BY parent_id) AS lost
         WHERE comments.id = lost.parent_id AND comments.id NOT IN (SELECT id FROM thread)
    )
    UPDATE posts SET comment_count = comment_count - lost.comments, version = version + 1
      FROM (SELECT post_id, count(*) AS comments FROM removed GROUP BY post_id) AS lost
     WHERE posts.id = lost.post_id
    RETURNING posts.id
"""

REMOVE_LIKES: Final = """
    WITH removed AS (DELETE FROM likes WHERE user_id = %(user_id)s RETURNING post_id)
    UPDATE posts SET like_count = like_count - 1, version = version + 1
      FROM removed WHERE posts.id = removed.post_id
    RETURNING posts.id
"""

REMOVE_COMMENT_LIKES: Final = """
    WITH removed AS (DELETE FROM comment_likes WHERE user_id = %(user_id)s RETURNING comment_id)
    UPDATE comments SET like_count = like_count - 1 FROM removed WHERE comments.id = removed.comment_id
"""

REMOVE_VIEWS: Final = """
    WITH removed AS (DELETE FROM story_views WHERE viewer_id = %(user_id)s RETURNING story_id)
    UPDATE stories SET view_count = view_count - 1 FROM removed WHERE stories.id = removed.story_id
"""

REMOVE_FOLLOWS: Final = """
    WITH removed AS (
        DELETE FROM follows WHERE follower_id = %(user_id)s OR following_id = %(user_id)s
        RETURNING follower_id, following_id
    )
    UPDATE users
       SET follower_count = follower_count - (SELECT count(*) FROM removed r WHERE r.following_id = users.id),
           following_count = following_count - (SELECT count(*) FROM removed r WHERE r.follower_id = users.id)
     WHERE id IN (SELECT follower_id FROM removed UNION SELECT following_id FROM removed)
"""

READ_COUNTS: Final = """
    SELECT id AS post_id, version, like_count, comment_count
      FROM posts WHERE id = ANY(%(post_ids)s) AND user_id <> %(user_id)s
"""

REMOVE_ACCOUNT: Final = "DELETE FROM users WHERE id = %(user_id)s RETURNING avatar_id"


class RemovedAccount(msgspec.Struct, frozen=True):
    """A removed account, and what must be done after the commit."""

    username: str
    posts: list[RemovedPost]
    story_ids: list[UUID]
    avatar_id: UUID | None
    upload_ids: list[UUID]
    uploads_end: datetime | None
    """When the last presigned URL of its uploads expires; None without uploads."""
    counts: list[PostCounts]
    """The counts of posts of other accounts that have lost likes or comments."""
    revocation: Revocation
    """The revocation that Valkey must apply."""


def remove_account(db: Connection, *, user_id: UUID) -> RemovedAccount:
    """Remove an account with its posts, stories, comments (and the replies to them), likes, views and follows.

    The caller must ban the account in an earlier transaction, so that few of its requests are running, and must use
    `retry_on_deadlock`, as deadlocks are possible. Raises as `bans.ban`.
    """
    values = {"user_id": user_id}
    for lock in LOCKS:
        db.execute(lock, values)
    username = bans.lock_account(db, user_id=user_id)
    for lock in LOCKS:
        db.execute(lock, values)
    with db.cursor(row_factory=class_row(RemovedPost)) as cursor:
        posts = cursor.execute(READ_POSTS, values).fetchall()
    story_ids = [row[0] for row in db.execute(READ_STORY_IDS, values)]
    uploads = db.execute(READ_UPLOADS, values).fetchall()
    changed = [row[0] for each in (REMOVE_COMMENTS, REMOVE_LIKES) for row in db.execute(each, values)]
    for each in (REMOVE_COMMENT_LIKES, REMOVE_VIEWS, REMOVE_FOLLOWS):
        db.execute(each, values)
    with db.cursor(row_factory=class_row(PostCounts)) as reader:
        counts = reader.execute(READ_COUNTS, values | {"post_ids": changed}).fetchall()
    revocation = sessions.end_all(db, user_id=user_id)
    [[avatar_id]] = db.execute(REMOVE_ACCOUNT, values)
    return RemovedAccount(
        username=username,
        posts=posts,
        story_ids=story_ids,
        avatar_id=avatar_id,
        upload_ids=[upload_id for upload_id, _ in uploads],
        uploads_end=max((datetime.fromisoformat(ends) for _, ends in uploads), default=None),
        counts=counts,
        revocation=revocation,
    )
