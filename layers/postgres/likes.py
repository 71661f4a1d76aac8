"""Likes of posts."""

from typing import Final, LiteralString
from uuid import UUID

from layers.core.errors import PostNotFound
from layers.core.models import PostCounts, UserCard, Viewer
from layers.core.pages import Row, Window
from layers.postgres.columns import CARD
from layers.postgres.connection import Connection, fetch_visible_list, viewer_values
from layers.postgres.rows import class_row


class LikeResult(PostCounts, frozen=True):
    """The counts of a post after a like was added or removed."""

    is_new: bool
    """False if nothing was changed."""


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
           post.id AS post_id,
           coalesce(counted.version, post.version) AS version,
           coalesce(counted.like_count, post.like_count) AS like_count,
           post.comment_count
      FROM post LEFT JOIN counted ON true
"""


def add(db: Connection, *, post_id: UUID, viewer: Viewer) -> LikeResult:
    """Like a post; may be repeated. Raises `PostNotFound` for one that the viewer may not see."""
    return _execute(db, ADD, post_id, viewer)


REMOVE: Final[LiteralString] = """
    WITH post AS (
        SELECT p.id, p.version, p.like_count, p.comment_count
          FROM posts p JOIN users u ON u.id = p.user_id
         WHERE p.id = %(post_id)s AND p.status = 'published'
           AND (EXISTS (SELECT FROM likes l WHERE l.user_id = %(viewer_id)s AND l.post_id = p.id)
                OR can_view_post(%(viewer_id)s, %(is_admin)s, p, u))
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
           post.id AS post_id,
           coalesce(counted.version, post.version) AS version,
           coalesce(counted.like_count, post.like_count) AS like_count,
           post.comment_count
      FROM post LEFT JOIN counted ON true
"""
# A viewer can always remove their own like, even if they can no longer see the post.


def remove(db: Connection, *, post_id: UUID, viewer: Viewer) -> LikeResult:
    """Remove a like; may be repeated. Raises as `add`, but never for a post that the viewer likes."""
    return _execute(db, REMOVE, post_id, viewer)


def _execute(db: Connection, statement: LiteralString, post_id: UUID, viewer: Viewer) -> LikeResult:
    with db.cursor(row_factory=class_row(LikeResult)) as cursor:
        result = cursor.execute(statement, {"post_id": post_id, **viewer_values(viewer)}).fetchone()
    if result is None:
        raise PostNotFound
    return result


LIST_OF_POST: Final = f"""
    SELECT true AS allowed, listed.*
      FROM posts p JOIN users o ON o.id = p.user_id
      LEFT JOIN LATERAL (
            SELECT l.created_at AS liked_at, l.user_id,
                   {CARD}
              FROM likes l JOIN users u ON u.id = l.user_id
             WHERE l.post_id = p.id AND (u.banned_at IS NULL OR %(is_admin)s)
               AND l.created_at <= %(after_time)s AND (l.created_at < %(after_time)s OR l.user_id > %(after_id)s)
             ORDER BY l.created_at DESC, l.user_id LIMIT %(at_most)s
           ) AS listed ON true
     WHERE p.id = %(post_id)s AND can_view_post(%(viewer_id)s, %(is_admin)s, p, o)
     ORDER BY listed.liked_at DESC, listed.user_id
"""


def list_of_post(
    db: Connection, *, post_id: UUID, viewer: Viewer | None, window: Window[tuple[str, UUID]]
) -> list[Row[UserCard]]:
    """The users who like a post, newest like first; raises `PostNotFound` for one that the viewer may not see."""
    after_time, after_id = window.after
    values = {"post_id": post_id, **viewer_values(viewer)}
    values |= {"after_time": after_time, "after_id": after_id, "at_most": window.at_most}
    listed = fetch_visible_list(db, LIST_OF_POST, values, UserCard, keys=2)
    if listed is None:
        raise PostNotFound
    return listed
