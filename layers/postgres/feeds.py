"""What home feeds are made of. The port that core's home feed names `Feeds`."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from layers.core.home_feed import Entry, Sources, body_of
from layers.core.models import Post, Viewer
from layers.core.settings import settings
from layers.postgres import follows, posts as all_posts
from layers.postgres.connection import Connection, transaction

_DEPTH: Final = 100
"""So many posts a new timeline holds: five pages. Older ones are read from the rows."""

_BATCH: Final = 1000
_ID_BYTES: Final = 16

SOURCES: Final = """
    WITH followed AS (
        SELECT u.id
          FROM follows f JOIN users u ON u.id = f.following_id
         WHERE f.follower_id = %(viewer_id)s AND u.banned_at IS NULL
        UNION ALL
        SELECT %(viewer_id)s
    ), newest AS (
        SELECT post.id
          FROM followed, LATERAL (
                SELECT id FROM posts
                 WHERE user_id = followed.id AND status = 'published'
                 ORDER BY id DESC LIMIT %(at_most)s
          ) AS post
         ORDER BY post.id DESC LIMIT %(at_most)s
    )
    SELECT (SELECT string_agg(uuid_send(id), '') FROM followed),
           (SELECT string_agg(uuid_send(id), '' ORDER BY id DESC) FROM newest)
"""


def sources(viewer_id: UUID) -> Sources:
    """Whom the viewer follows, banned ones left out, and their newest posts."""
    with transaction() as db:
        row = db.execute(SOURCES, {"viewer_id": viewer_id, "at_most": _DEPTH + 1}).fetchone() or (b"", None)
    followed, newest = row[0], row[1] or b""
    depth = _DEPTH * _ID_BYTES
    return Sources(followed=followed, posts=newest[:depth], has_older=len(newest) > depth)


IN_FEED: Final = """
    SELECT p.id
      FROM posts p
     WHERE p.id = ANY(%(post_ids)s) AND p.status = 'published'
       AND (p.user_id = %(viewer_id)s
            OR EXISTS (SELECT FROM follows f WHERE f.follower_id = %(viewer_id)s AND f.following_id = p.user_id))
"""
