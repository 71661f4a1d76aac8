"""Whether rows agree with each other and with the object store, for the check after a restore."""

from typing import Final
from uuid import UUID

import msgspec

from layers.core import story_files
from layers.core.events import ProfileUpdated
from layers.core.models import UserSelf
from layers.postgres import outbox, stories
from layers.postgres.columns import ACCOUNT
from layers.postgres.connection import Connection
from layers.postgres.rows import class_row

COUNT_WRONG_COUNTERS: Final = """
    SELECT what, count(*) FROM (
        SELECT 'followers' AS what, follower_count AS counted,
               (SELECT count(*) FROM follows WHERE following_id = u.id) AS found FROM users u
         UNION ALL
        SELECT 'following', following_count, (SELECT count(*) FROM follows WHERE follower_id = u.id) FROM users u
         UNION ALL
        SELECT 'posts', post_count, (SELECT count(*) FROM posts WHERE user_id = u.id AND status = 'published')
          FROM users u
         UNION ALL
        SELECT 'likes', like_count, (SELECT count(*) FROM likes WHERE post_id = p.id) FROM posts p
         UNION ALL
        SELECT 'comments', comment_count, (SELECT count(*) FROM comments WHERE post_id = p.id) FROM posts p
         UNION ALL
        SELECT 'comment likes', like_count, (SELECT count(*) FROM comment_likes WHERE comment_id = c.id)
          FROM comments c
         UNION ALL
        SELECT 'replies', reply_count, (SELECT count(*) FROM comments WHERE parent_id = c.id) FROM comments c
         UNION ALL
        SELECT 'views', view_count, (SELECT count(*) FROM story_views WHERE story_id = s.id) FROM stories s
    ) AS counters WHERE counted <> found GROUP BY what ORDER BY what
"""


def count_wrong_counters(db: Connection) -> dict[str, int]:
    """How many counters of each kind differ from the rows that they count."""
    return dict(db.execute(COUNT_WRONG_COUNTERS).fetchall())


class PublishedPicture(msgspec.Struct, frozen=True):
    """A picture of a published post."""

    post_id: UUID
    order_index: int
    original_key: str


LIST_PUBLISHED_PICTURES: Final = """
    SELECT m.post_id, m.order_index, m.original_key
      FROM posts p JOIN post_media m ON m.post_id = p.id
     WHERE p.status = 'published'
     ORDER BY m.post_id, m.order_index
"""


def list_published_pictures(db: Connection) -> list[PublishedPicture]:
    """The pictures of all published posts, in order."""
    with db.cursor(row_factory=class_row(PublishedPicture)) as cursor:
        return cursor.execute(LIST_PUBLISHED_PICTURES).fetchall()


REOPEN: Final = """
    WITH picture AS (
        UPDATE post_media SET status = 'processing' WHERE post_id = %(post_id)s AND order_index = ANY(%(order_indexes)s)
    ), reopened AS (
        UPDATE posts SET status = 'processing', version = version + 1, updated_at = now()
         WHERE id = %(post_id)s AND status = 'published'
        RETURNING user_id
    )
    UPDATE users SET post_count = post_count - 1 FROM reopened WHERE users.id = reopened.user_id
"""


def reopen(db: Connection, *, post_id: UUID, order_indexes: list[int]) -> None:
    """Make a published post `processing` again, so that these of its pictures are rendered again."""
    db.execute(REOPEN, {"post_id": post_id, "order_indexes": order_indexes})


LIST_ACTIVE_STORIES: Final = "SELECT id FROM stories WHERE expires_at > now()"


def list_active_stories(db: Connection) -> dict[UUID, list[str]]:
    """The keys of the files of each story that is shown, by its id."""
    return {row[0]: story_files.keys(row[0]) for row in db.execute(LIST_ACTIVE_STORIES)}


def end_story(db: Connection, *, story_id: UUID) -> None:
    """End a story, as its owner does; the cleanup removes its row."""
    db.execute(stories.END, {"story_id": story_id})


LIST_PROFILE_PICTURES: Final = "SELECT id, avatar_id FROM users WHERE avatar_id IS NOT NULL"


def list_profile_pictures(db: Connection) -> dict[UUID, UUID]:
    """The id of each account's profile picture, by the id of the account."""
    return dict(db.execute(LIST_PROFILE_PICTURES).fetchall())


CLEAR_PICTURE: Final = f"""
    UPDATE users AS u
       SET avatar_id = NULL, updated_at = greatest(now(), u.updated_at + interval '1 ms')
     WHERE u.id = %(user_id)s
    RETURNING {ACCOUNT}
"""


def clear_picture(db: Connection, *, user_id: UUID) -> None:
    """Take the profile picture from an account, with the event that updates the copies of the profile."""
    with db.cursor(row_factory=class_row(UserSelf)) as cursor:
        user = cursor.execute(CLEAR_PICTURE, {"user_id": user_id}).fetchone()
    if user:
        outbox.add(db, ProfileUpdated.of(user))
