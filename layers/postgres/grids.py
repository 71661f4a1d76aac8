"""Grids of posts: of an account, saved posts, and explore."""

from typing import Final
from uuid import UUID

from layers.core.errors import UserNotFound
from layers.core.models import PostThumb, SavedPost, UserRef, Viewer
from layers.core.pages import Row, Window
from layers.postgres.columns import THUMB
from layers.postgres.connection import Connection, fetch_visible_list, list_row, viewer_values

LIST_OF_USER: Final = f"""
    SELECT owner.allowed, listed.id AS key, listed.*
      FROM (SELECT o.id, can_view(%(viewer_id)s, %(is_admin)s, o) AS allowed
              FROM users o
             WHERE (o.id = %(id)s OR o.username = %(username)s) AND (o.banned_at IS NULL OR %(is_admin)s)) AS owner
      LEFT JOIN LATERAL (
            SELECT {THUMB}
              FROM posts p
             WHERE p.user_id = owner.id AND p.status = 'published' AND p.id < %(after_id)s
             ORDER BY p.id DESC LIMIT %(at_most)s
           ) AS listed ON owner.allowed
     ORDER BY listed.id DESC
"""


def list_of_user(
    db: Connection, *, ref: UserRef, viewer: Viewer | None, window: Window[tuple[UUID]]
) -> list[Row[PostThumb]]:
    """The published posts of an account, newest first.

    Raises `UserNotFound`, and `NotAllowed` for a private account that the viewer may not view.
    """
    values = {"id": ref.id, "username": str(ref), **viewer_values(viewer)}
    values |= {"after_id": window.after[0], "at_most": window.at_most}
    listed = fetch_visible_list(db, LIST_OF_USER, values, PostThumb, keys=1)
    if listed is None:
        raise UserNotFound
    return listed


LIST_SAVED: Final = f"""
    SELECT s.created_at, s.post_id,
           {THUMB}, s.created_at AS saved_at
      FROM saves s JOIN posts p ON p.id = s.post_id JOIN users u ON u.id = p.user_id
     WHERE s.user_id = %(viewer_id)s AND p.status = 'published' AND can_view_post(%(viewer_id)s, %(is_admin)s, p, u)
       AND s.created_at <= %(after_time)s AND (s.created_at < %(after_time)s OR s.post_id > %(after_id)s)
     ORDER BY s.created_at DESC, s.post_id LIMIT %(at_most)s
"""


def list_saved(db: Connection, *, viewer: Viewer, window: Window[tuple[str, UUID]]) -> list[Row[SavedPost]]:
    """The posts that the viewer has saved and may see, latest save first."""
    after_time, after_id = window.after
    values = {**viewer_values(viewer), "after_time": after_time, "after_id": after_id, "at_most": window.at_most}
    with db.cursor(row_factory=list_row(SavedPost, keys=2)) as cursor:
        return cursor.execute(LIST_SAVED, values).fetchall()


LIST_EXPLORE: Final = f"""
    SELECT listed.*
      FROM (SELECT p.like_count + 2 * p.comment_count AS score, p.id AS key,
                   {THUMB}
              FROM posts p JOIN users u ON u.id = p.user_id
             WHERE p.status = 'published' AND NOT u.is_private AND u.banned_at IS NULL
               AND (p.like_count + 2 * p.comment_count, p.id) < (%(after_score)s, %(after_id)s)
               AND p.user_id IS DISTINCT FROM %(viewer_id)s
               AND NOT EXISTS (SELECT FROM follows f
                                WHERE f.follower_id = %(viewer_id)s AND f.following_id = p.user_id OFFSET 0)
             ORDER BY p.like_count + 2 * p.comment_count DESC, p.id DESC LIMIT 101) AS listed
     ORDER BY listed.score DESC, listed.key DESC LIMIT %(at_most)s
"""
# The fixed limit tells PostgreSQL that few posts are needed; otherwise it plans the statement each time. OFFSET 0 keeps
# a lookup per post, where a join would read all follows of the viewer.


def list_explore(db: Connection, *, viewer: Viewer | None, window: Window[tuple[int, UUID]]) -> list[Row[PostThumb]]:
    """Posts of public accounts that the viewer does not follow, by score: likes plus twice the comments (R-P5)."""
    after_score, after_id = window.after
    values = {**viewer_values(viewer), "after_score": after_score, "after_id": after_id, "at_most": window.at_most}
    with db.cursor(row_factory=list_row(PostThumb, keys=2)) as cursor:
        return cursor.execute(LIST_EXPLORE, values).fetchall()
