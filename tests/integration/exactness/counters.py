"""Counters beside the rows that they count."""

from collections.abc import Iterable
from uuid import UUID

from layers.postgres.connection import transaction

WRONG_COUNTERS = """
    SELECT * FROM (
        SELECT 'followers' AS what, id, follower_count AS counted,
               (SELECT count(*) FROM follows WHERE following_id = u.id) AS found
          FROM users u WHERE id = ANY(%(ids)s)
         UNION ALL
        SELECT 'following', id, following_count, (SELECT count(*) FROM follows WHERE follower_id = u.id)
          FROM users u WHERE id = ANY(%(ids)s)
         UNION ALL
        SELECT 'posts', id, post_count, (SELECT count(*) FROM posts WHERE user_id = u.id AND status = 'published')
          FROM users u WHERE id = ANY(%(ids)s)
         UNION ALL
        SELECT 'likes', id, like_count, (SELECT count(*) FROM likes WHERE post_id = p.id)
          FROM posts p WHERE user_id = ANY(%(ids)s)
         UNION ALL
        SELECT 'comments', id, comment_count, (SELECT count(*) FROM comments WHERE post_id = p.id)
          FROM posts p WHERE user_id = ANY(%(ids)s)
         UNION ALL
        SELECT 'comment likes', c.id, c.like_count, (SELECT count(*) FROM comment_likes WHERE comment_id = c.id)
          FROM comments c JOIN posts p ON p.id = c.post_id WHERE p.user_id = ANY(%(ids)s)
         UNION ALL
        SELECT 'replies', c.id, c.reply_count, (SELECT count(*) FROM comments WHERE parent_id = c.id)
          FROM comments c JOIN posts p ON p.id = c.post_id WHERE p.user_id = ANY(%(ids)s)
         UNION ALL
        SELECT 'views', id, view_count, (SELECT count(*) FROM story_views WHERE story_id = s.id)
          FROM stories s WHERE user_id = ANY(%(ids)s)
    ) AS counters WHERE counted <> found
"""


def wrong_counters(account_ids: Iterable[UUID]) -> list[tuple[object, ...]]:
    """Each counter of these accounts, and of all that is theirs, that differs from its rows: what, id, both numbers."""
    with transaction() as db:
        return db.execute(WRONG_COUNTERS, {"ids": list(account_ids)}).fetchall()
