"""Saved posts."""

from typing import Final
from uuid import UUID

from layers.core.errors import PostNotFound
from layers.core.models import Viewer
from layers.postgres.connection import Connection, viewer_values

ADD: Final = """
    WITH post AS (
        SELECT p.id
          FROM posts p JOIN users u ON u.id = p.user_id
         WHERE p.id = %(post_id)s AND p.status = 'published' AND can_view_post(%(viewer_id)s, %(is_admin)s, p, u)
           FOR KEY SHARE OF p
    ), added AS (
        INSERT INTO saves (user_id, post_id) SELECT %(viewer_id)s, id FROM post
        ON CONFLICT DO NOTHING RETURNING true
    )
    SELECT EXISTS (SELECT FROM added) FROM post
"""


def add(db: Connection, *, post_id: UUID, viewer: Viewer) -> bool:
    """Save a post; False if it was saved before. Raises `PostNotFound` for one that the viewer may not see."""
    row = db.execute(ADD, {"post_id": post_id, **viewer_values(viewer)}).fetchone()
    if row is None:
        raise PostNotFound
    return bool(row[0])


REMOVE: Final = """
    WITH removed AS (
        DELETE FROM saves WHERE user_id = %(viewer_id)s AND post_id = %(post_id)s RETURNING true
    )
    SELECT EXISTS (SELECT FROM removed)
      FROM posts p JOIN users u ON u.id = p.user_id
     WHERE p.id = %(post_id)s AND p.status = 'published'
       AND (EXISTS (SELECT FROM removed) OR can_view_post(%(viewer_id)s, %(is_admin)s, p, u))
"""
# A viewer can always remove their own save, even if they can no longer see the post.


def remove(db: Connection, *, post_id: UUID, viewer: Viewer) -> bool:
    """Remove a save; False if there was none. Raises as `add`, but never for a post that was saved."""
    row = db.execute(REMOVE, {"post_id": post_id, **viewer_values(viewer)}).fetchone()
    if row is None:
        raise PostNotFound
    return bool(row[0])
