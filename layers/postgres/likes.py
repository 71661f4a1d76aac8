"""Who likes which post."""

from typing import Final, LiteralString
from uuid import UUID

import msgspec

from layers.core.errors import PostNotFound
from layers.core.models import Viewer
from layers.postgres.connection import Connection, rows_as, seen_by


class Liked(msgspec.Struct, frozen=True):
    """What a like, or its taking back, came to: the post's counts and version after it."""

    is_new: bool
    version: int
    like_count: int
    comment_count: int


ADD: Final[LiteralString] = """
    WITH post AS (
        SELECT p.id, p.version, p.like_count, p.comment_count
          FROM posts p JOIN users u ON u.id = p.user_id
         WHERE p.id = %(post_id)s AND p.status = 'published' AND can_view_post(%(viewer_id)s, %(is_admin)s, p, u)
           FOR NO KEY UPDATE OF p
    ), added AS (
        INSERT INTO likes (user_id, post_id) SELECT %(viewer_id)s, id FROM post
        ON CONFLICT DO NOTHING RETURNING post_id
    ), counted AS (
        UPDATE posts SET like_count = posts.like_count + 1, version = posts.version + 1
          FROM added WHERE posts.id = added.post_id
        RETURNING posts.version, posts.like_count
    )
    SELECT counted.version IS NOT NULL AS is_new,
           coalesce(counted.version, post.version) AS version,
           coalesce(counted.like_count, post.like_count) AS like_count,
           post.comment_count
      FROM post LEFT JOIN counted ON true
"""


def add(db: Connection, *, post_id: UUID, viewer: Viewer) -> Liked:
    """Like a post once; raises `PostNotFound` for one that the viewer may not see."""
    return _changed(db, ADD, post_id, viewer)


REMOVE: Final[LiteralString] = """
    WITH post AS (
        SELECT p.id, p.version, p.like_count, p.comment_count
          FROM posts p JOIN users u ON u.id = p.user_id
         WHERE p.id = %(post_id)s AND p.status = 'published' AND can_view_post(%(viewer_id)s, %(is_admin)s, p, u)
           FOR NO KEY UPDATE OF p
    ), removed AS (
        DELETE FROM likes USING post WHERE likes.post_id = post.id AND likes.user_id = %(viewer_id)s
        RETURNING likes.post_id
    ), counted AS (
        UPDATE posts SET like_count = posts.like_count - 1, version = posts.version + 1
          FROM removed WHERE posts.id = removed.post_id
        RETURNING posts.version, posts.like_count
    )
    SELECT counted.version IS NOT NULL AS is_new,
           coalesce(counted.version, post.version) AS version,
           coalesce(counted.like_count, post.like_count) AS like_count,
           post.comment_count
      FROM post LEFT JOIN counted ON true
"""


def remove(db: Connection, *, post_id: UUID, viewer: Viewer) -> Liked:
    """Take a like back; `is_new` is false when there was none."""
    return _changed(db, REMOVE, post_id, viewer)


def _changed(db: Connection, statement: LiteralString, post_id: UUID, viewer: Viewer) -> Liked:
    with db.cursor(row_factory=rows_as(Liked)) as cursor:
        liked = cursor.execute(statement, {"post_id": post_id, **seen_by(viewer)}).fetchone()
    if liked is None:
        raise PostNotFound
    return liked
