"""Posts with their pictures; their status is `processing`, `published`, `failed` or `deleted`."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from layers.core.errors import NotAllowed, PostNotFound
from layers.core.events import OutboxEvent, PostPublished
from layers.core.ids import time_of
from layers.core.models import Filter, Post, Viewer
from layers.core.settings import settings
from layers.postgres import outbox
from layers.postgres.columns import POST
from layers.postgres.connection import Connection, viewer_values
from layers.postgres.post_rows import PostRow
from layers.postgres.rows import args_row, class_row


class NewPicture(msgspec.Struct, frozen=True):
    """A picture of a new post."""

    id: UUID
    original_key: str
    filter: Filter = "none"


CREATE: Final = """
    WITH reused AS (DELETE FROM abandoned_files WHERE id = %(post_id)s)
    INSERT INTO posts (id, user_id, caption, location, tags, created_at, updated_at)
    VALUES (%(post_id)s, %(user_id)s, %(caption)s, %(location)s, %(tags)s, %(created_at)s, now())
    ON CONFLICT (id) DO UPDATE SET status = 'processing', version = posts.version + 1, updated_at = now()
     WHERE posts.status IN ('processing', 'failed')
"""

CREATE_PICTURES: Final = """
    INSERT INTO post_media (post_id, order_index, id, original_key, filter)
    SELECT %(post_id)s, picture.position - 1, picture.id, picture.original_key, picture.filter
      FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(filters)s::text[])
           WITH ORDINALITY AS picture (id, original_key, filter, position)
    ON CONFLICT (post_id, order_index) DO UPDATE SET status = 'processing', failure = NULL
     WHERE post_media.status = 'failed'
"""


def create(
    db: Connection,
    *,
    post_id: UUID,
    user_id: UUID,
    caption: str,
    location: str | None,
    tags: Sequence[str],
    pictures: Sequence[NewPicture],
) -> None:
    """Create a post with status `processing` and its pictures, in order; its time is that of its id.

    May be repeated with the same id: a failed post becomes `processing` again, and a published or deleted one is not
    changed.
    """
    post = {
        "post_id": post_id,
        "user_id": user_id,
        "caption": caption,
        "location": location,
        "tags": list(tags),
        "created_at": time_of(post_id),
    }
    db.execute(CREATE, post)
    columns = {
        "post_id": post_id,
        "ids": [picture.id for picture in pictures],
        "keys": [picture.original_key for picture in pictures],
        "filters": [picture.filter for picture in pictures],
    }
    db.execute(CREATE_PICTURES, columns)


READ: Final = f"""
    SELECT {POST}
      FROM posts p JOIN users u ON u.id = p.user_id
     WHERE p.id = %(post_id)s AND can_view_post(%(viewer_id)s, %(is_admin)s, p, u)
"""


def read(db: Connection, *, post_id: UUID, viewer: Viewer | None) -> Post:
    """One post as the viewer sees it; raises `PostNotFound` for one that the viewer may not see."""
    with db.cursor(row_factory=args_row(PostRow)) as cursor:
        row = cursor.execute(READ, {"post_id": post_id, **viewer_values(viewer)}).fetchone()
    if row is None:
        raise PostNotFound
    return row.to_post()


class DeletedPost(msgspec.Struct, frozen=True):
    """The author of a deleted post, and its files, which must be removed."""

    author_id: UUID
    original_keys: list[str]
    """The key of each picture's original, in order."""


LOCK_POST: Final = """
    SELECT p.user_id, p.status,
           ARRAY(SELECT m.original_key FROM post_media m WHERE m.post_id = p.id ORDER BY m.order_index)
      FROM posts p JOIN users u ON u.id = p.user_id
     WHERE p.id = %(post_id)s AND can_view_post(%(viewer_id)s, %(is_admin)s, p, u)
       FOR NO KEY UPDATE OF p
"""

DELETE: Final = """
    WITH deleted AS (
        UPDATE posts SET status = 'deleted', version = version + 1, updated_at = now()
         WHERE id = %(post_id)s
        RETURNING user_id
    )
    UPDATE users SET post_count = post_count - 1
      FROM deleted WHERE users.id = deleted.user_id AND %(was_published)s
"""


def delete(db: Connection, *, post_id: UUID, viewer: Viewer) -> DeletedPost:
    """Delete a post: its row stays, with status `deleted`. Its author and admins may do this.

    Raises `PostNotFound` for a post that the viewer may not see, and `NotAllowed` for a post of another author.
    """
    row = db.execute(LOCK_POST, {"post_id": post_id, **viewer_values(viewer)}).fetchone()
    if row is None:
        raise PostNotFound
    author_id, status, original_keys = row
    if author_id != viewer.id and viewer.role != "admin":
        raise NotAllowed
    db.execute(DELETE, {"post_id": post_id, "was_published": status == "published"})
    return DeletedPost(author_id=author_id, original_keys=original_keys)


LOCK_STATUS: Final = "SELECT status, user_id FROM posts WHERE id = %(post_id)s FOR NO KEY UPDATE"

FINISH_PICTURE: Final = """
    WITH picture AS (
        UPDATE post_media
           SET status = 'published', width = %(width)s, height = %(height)s, failure = NULL
         WHERE post_id = %(post_id)s AND order_index = %(order_index)s
    ), published AS (
        UPDATE posts SET status = 'published', published_at = now(), version = version + 1, updated_at = now()
         WHERE id = %(post_id)s AND status = 'processing'
           AND NOT EXISTS (
               SELECT FROM post_media
                WHERE post_id = %(post_id)s AND order_index <> %(order_index)s AND status <> 'published')
        RETURNING user_id
    )
    UPDATE users SET post_count = post_count + 1
      FROM published WHERE users.id = published.user_id
    RETURNING users.id
"""


def finish_picture(db: Connection, *, post_id: UUID, order_index: int, width: int, height: int) -> OutboxEvent | None:
    """Record that all renditions of a picture are stored, and publish the post if this was its last picture (R-M5).

    Returns the event `PostPublished` if the post was published now, which happens once per post, and None otherwise. A
    post that is published, failed or deleted is not changed. Raises `PostNotFound`.
    """
    if _lock_status(db, post_id) != "processing":
        return None
    picture = {"post_id": post_id, "order_index": order_index, "width": width, "height": height}
    row = db.execute(FINISH_PICTURE, picture).fetchone()
    return outbox.add(db, PostPublished(post_id=post_id, author_id=row[0])) if row else None


FAIL_PICTURE: Final = """
    WITH picture AS (
        UPDATE post_media SET status = 'failed', failure = %(reason)s
         WHERE post_id = %(post_id)s AND order_index = %(order_index)s
    )
    UPDATE posts SET status = 'failed', version = version + 1, updated_at = now()
     WHERE id = %(post_id)s
    RETURNING user_id
"""


def fail_picture(db: Connection, *, post_id: UUID, order_index: int, reason: str) -> UUID | None:
    """Record that a picture cannot be processed, which makes its post fail; its owner can read the reason.

    Returns the author's id, or None if the post was not `processing`. Raises `PostNotFound`.
    """
    if _lock_status(db, post_id) != "processing":
        return None
    row = db.execute(FAIL_PICTURE, {"post_id": post_id, "order_index": order_index, "reason": reason}).fetchone()
    return row[0] if row else None


def _lock_status(db: Connection, post_id: UUID) -> str:
    """Lock the row of a post, so that its pictures are finished one after another; returns the status."""
    row = db.execute(LOCK_STATUS, {"post_id": post_id}).fetchone()
    if row is None:
        raise PostNotFound
    status: str = row[0]
    return status


READ_ORIGINAL_KEYS: Final = "SELECT original_key FROM post_media WHERE post_id = %(post_id)s ORDER BY order_index"


def read_original_keys(db: Connection, *, post_id: UUID) -> list[str]:
    """The keys of the originals of a post, in order; none if there is no such post."""
    return [row[0] for row in db.execute(READ_ORIGINAL_KEYS, {"post_id": post_id})]


class PostState(msgspec.Struct, frozen=True):
    """What the processing of a picture must know of its post."""

    author_id: UUID
    status: str


READ_STATE: Final = "SELECT user_id, status FROM posts WHERE id = %(post_id)s"


def read_state(db: Connection, *, post_id: UUID) -> PostState:
    """The post's author and its status, `deleted` included; raises `PostNotFound`."""
    row = db.execute(READ_STATE, {"post_id": post_id}).fetchone()
    if row is None:
        raise PostNotFound
    return PostState(*row)


def read_status(db: Connection, *, post_id: UUID) -> str:
    """The post's status, `deleted` included; raises `PostNotFound`."""
    return read_state(db, post_id=post_id).status


class UnfinishedPicture(msgspec.Struct, frozen=True):
    """A picture that has not been processed for some time."""

    post_id: UUID
    author_id: UUID
    order_index: int
    original_key: str
    age_seconds: float


LIST_UNFINISHED: Final = """
    SELECT m.post_id, p.user_id AS author_id, m.order_index, m.original_key,
           extract(epoch FROM now() - p.updated_at)::float AS age_seconds
      FROM posts p JOIN post_media m ON m.post_id = p.id
     WHERE p.status = 'processing' AND m.status = 'processing'
       AND p.updated_at < now() - %(seconds)s * interval '1 s'
     ORDER BY p.created_at, m.post_id, m.order_index
     LIMIT %(at_most)s
"""


def list_unfinished(db: Connection, *, older_than_seconds: float, at_most: int) -> list[UnfinishedPicture]:
    """Pictures that are still `processing` this many seconds after their post was created, oldest first."""
    values = {"seconds": older_than_seconds, "at_most": at_most}
    with db.cursor(row_factory=class_row(UnfinishedPicture)) as cursor:
        return cursor.execute(LIST_UNFINISHED, values).fetchall()


WITHDRAW: Final = """
    WITH withdrawn AS (DELETE FROM posts WHERE id = %(post_id)s AND status = 'processing' RETURNING id)
    INSERT INTO abandoned_files (id, keys) SELECT id, %(keys)s FROM withdrawn
    ON CONFLICT (id) DO UPDATE SET keys = excluded.keys, created_at = excluded.created_at
"""


def withdraw(db: Connection, *, post_id: UUID, keys: Sequence[str]) -> None:
    """Delete the rows of a new post whose files could not be stored; `keys` are all objects that it may have.

    The objects are recorded as abandoned and removed when no request can still be storing them.
    """
    db.execute(WITHDRAW, {"post_id": post_id, "keys": list(keys)})


MARK_MEDIA_REMOVED: Final = "UPDATE posts SET media_removed = true WHERE id = %(post_id)s AND status = 'deleted'"


def mark_media_removed(db: Connection, *, post_id: UUID) -> None:
    """Record that the files of a deleted post were removed and can no longer be stored."""
    db.execute(MARK_MEDIA_REMOVED, {"post_id": post_id})


FORGET_DELETED: Final = """
    DELETE FROM posts
     WHERE id IN (
        SELECT id FROM posts
         WHERE status = 'deleted' AND media_removed AND updated_at < now() - %(days)s * interval '1 day'
         ORDER BY updated_at
         LIMIT %(at_most)s
     )
"""


def forget_deleted(db: Connection, *, at_most: int) -> int:
    """Remove the rows of posts that were deleted `deleted_post_retention_days` ago, with their likes, comments and
    saves; those whose files are not removed yet are left. Returns the number of posts.
    """
    days = settings().deleted_post_retention_days
    return db.execute(FORGET_DELETED, {"days": days, "at_most": at_most}).rowcount


class DeletedWithMedia(msgspec.Struct, frozen=True):
    """A deleted post whose files may still be stored."""

    post_id: UUID
    original_keys: list[str]


LIST_DELETED_WITH_MEDIA: Final = """
    SELECT p.id AS post_id,
           ARRAY(SELECT m.original_key FROM post_media m WHERE m.post_id = p.id ORDER BY m.order_index) AS original_keys
      FROM posts p
     WHERE p.status = 'deleted' AND NOT p.media_removed AND p.updated_at < now() - %(seconds)s * interval '1 s'
     LIMIT %(at_most)s
"""


def list_deleted_with_media(db: Connection, *, older_than_seconds: float, at_most: int) -> list[DeletedWithMedia]:
    """Posts deleted more than this many seconds ago whose files are not marked as removed."""
    with db.cursor(row_factory=class_row(DeletedWithMedia)) as cursor:
        return cursor.execute(LIST_DELETED_WITH_MEDIA, {"seconds": older_than_seconds, "at_most": at_most}).fetchall()
