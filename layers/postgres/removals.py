"""Accounts that are removed with all that is theirs, while what others count stays exact.

Everybody else locks things (posts, comments, stories) before accounts, and each kind in the order of ids, so this does
too. The account's own row is locked last, against any new row that refers to it. What came between the first look and
that lock, from a request that was under way, is locked by looking once more.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from psycopg.rows import class_row

from layers.core.models import PostCounts, Revocation
from layers.postgres import bans, sessions
from layers.postgres.connection import Connection

LOCK_POSTS: Final = """
    SELECT FROM posts
     WHERE id IN (SELECT id FROM posts WHERE user_id = %(user_id)s
                   UNION SELECT post_id FROM likes WHERE user_id = %(user_id)s
                   UNION SELECT post_id FROM comments WHERE user_id = %(user_id)s
                   UNION SELECT c.post_id FROM comment_likes l JOIN comments c ON c.id = l.comment_id
                          WHERE l.user_id = %(user_id)s)
     ORDER BY id FOR NO KEY UPDATE
"""
# Whoever adds or removes a comment locks its post: locked here, its threads stay as they are.

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

LOCK_PEOPLE: Final = """
    SELECT FROM users
     WHERE id IN (SELECT %(user_id)s
                   UNION SELECT following_id FROM follows WHERE follower_id = %(user_id)s
                   UNION SELECT follower_id FROM follows WHERE following_id = %(user_id)s)
     ORDER BY id FOR NO KEY UPDATE
"""

LOCKS: Final = (LOCK_POSTS, LOCK_COMMENTS, LOCK_STORIES, LOCK_PEOPLE)


class RemovedPost(msgspec.Struct, frozen=True):
    """A post of the account, in whatever state."""

    id: UUID
    original_keys: list[str]
    """One per picture, in order."""


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

REMOVE_ACCOUNT: Final = "DELETE FROM users WHERE id = %(user_id)s"


class RemovedAccount(msgspec.Struct, frozen=True):
    """What a removal leaves to be told and cleared away."""

    username: str
    posts: list[RemovedPost]
    story_ids: list[UUID]
    upload_ids: list[UUID]
    uploads_end: datetime | None
    """Until when the URLs of its uploads work."""
    counts: list[PostCounts]
    """Of other people's posts that lost likes or comments."""
    revocation: Revocation
    """What Valkey must apply."""


def remove_account(db: Connection, *, user_id: UUID) -> RemovedAccount:
    """Remove an account with its posts, stories, comments (and the replies to them), likes, views and follows.

    Ban it before, in a transaction of its own: then few requests of its are under way. Two that wait for each other are
    possible all the same; do it within `retried`. Raises as `bans.ban`.
    """
    values = {"user_id": user_id}
    for lock in LOCKS:
        db.execute(lock, values)
    username = bans.lock_account(db, user_id=user_id)
    for lock in LOCKS:
        db.execute(lock, values)
    with db.cursor(row_factory=class_row(RemovedPost)) as cursor:
        own_posts = cursor.execute(READ_POSTS, values).fetchall()
    story_ids = [row[0] for row in db.execute(READ_STORY_IDS, values)]
    uploads = db.execute(READ_UPLOADS, values).fetchall()
    changed = [row[0] for each in (REMOVE_COMMENTS, REMOVE_LIKES) for row in db.execute(each, values)]
    for each in (REMOVE_COMMENT_LIKES, REMOVE_VIEWS, REMOVE_FOLLOWS):
        db.execute(each, values)
    with db.cursor(row_factory=class_row(PostCounts)) as reader:
        counts = reader.execute(READ_COUNTS, values | {"post_ids": changed}).fetchall()
    revocation = sessions.end_all(db, user_id=user_id)
    db.execute(REMOVE_ACCOUNT, values)
    return RemovedAccount(
        username=username,
        posts=own_posts,
        story_ids=story_ids,
        upload_ids=[upload_id for upload_id, _ in uploads],
        uploads_end=max((datetime.fromisoformat(ends) for _, ends in uploads), default=None),
        counts=counts,
        revocation=revocation,
    )
