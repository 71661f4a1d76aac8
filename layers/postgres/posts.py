"""Posts with their pictures: processing, published, failed or deleted."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from layers.core.errors import NotAllowed, PostNotFound, StoreUnavailable
from layers.core.events import Note, PostPublished
from layers.core.ids import time_of
from layers.core.models import Filter, Media, Post, Viewer, renditions_of
from layers.postgres import outbox
from layers.postgres.connection import Connection, autocommit, rows_as, seen_by


class NewPicture(msgspec.Struct, frozen=True):
    """A picture as its row begins."""

    id: UUID
    original_key: str
    filter: Filter = "none"


CREATE: Final = """
    WITH wanted_again AS (DELETE FROM abandoned_files WHERE id = %(post_id)s)
    INSERT INTO posts (id, user_id, caption, location, tags, created_at, updated_at)
    VALUES (%(post_id)s, %(user_id)s, %(caption)s, %(location)s, %(tags)s, %(created_at)s, now())
    ON CONFLICT (id) DO UPDATE SET status = 'processing', version = posts.version + 1, updated_at = now()
     WHERE posts.status IN ('processing', 'failed')
"""

CREATE_PICTURES: Final = """
    INSERT INTO post_media (post_id, order_index, id, original_key, filter)
    SELECT %(post_id)s, given.position - 1, given.id, given.original_key, given.filter
      FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(filters)s::text[])
           WITH ORDINALITY AS given (id, original_key, filter, position)
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
    """A new post, `processing`, with its pictures in order; its time is its id's.

    Created again under the same id it is the same post: one that was given up meanwhile gets another chance, one that
    is published or deleted stays as it is.
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


READ_MANY: Final = """
    SELECT p.version, p.id, p.user_id, u.username, u.display_name, u.profile_picture_url, p.caption, p.location,
           p.tags, p.status, p.like_count, p.comment_count, p.created_at,
           EXISTS (SELECT FROM likes l WHERE l.user_id = %(viewer_id)s AND l.post_id = p.id) AS is_liked,
           EXISTS (SELECT FROM saves s WHERE s.user_id = %(viewer_id)s AND s.post_id = p.id) AS is_saved,
           (SELECT json_agg(json_build_array(m.id, m.filter, m.width, m.height, m.order_index, m.status, m.failure)
                            ORDER BY m.order_index)
              FROM post_media m WHERE m.post_id = p.id) AS media
      FROM posts p JOIN users u ON u.id = p.user_id
     WHERE p.id = ANY(%(post_ids)s) AND can_view_post(%(viewer_id)s, %(is_admin)s, p, u)
"""


def read_many(db: Connection, *, post_ids: Sequence[UUID], viewer: Viewer | None) -> list[tuple[Post, int]]:
    """Those of the posts that the viewer may see, in no order, each with its row's version."""
    values = {"post_ids": list(post_ids), **seen_by(viewer)}
    return [_post(row) for row in db.execute(READ_MANY, values)]


def read(db: Connection, *, post_id: UUID, viewer: Viewer | None) -> Post:
    """One post as the viewer sees it; raises `PostNotFound` for one that is not theirs to see."""
    found = read_many(db, post_ids=[post_id], viewer=viewer)
    if not found:
        raise PostNotFound
    return found[0][0]


def _post(row: Sequence[Any]) -> tuple[Post, int]:
    version, post_id, user_id, username, display_name, picture, caption, location, tags, status, *rest = row
    like_count, comment_count, created_at, is_liked, is_saved, media = rest
    post = Post(
        id=post_id,
        user_id=user_id,
        username=username,
        display_name=display_name,
        profile_picture_url=picture,
        caption=caption,
        location=location,
        tags=tags,
        status=status,
        like_count=like_count,
        comment_count=comment_count,
        created_at=created_at,
        is_liked=is_liked,
        is_saved=is_saved,
        media=[_picture(post_id, columns) for columns in media],
    )
    return post, version


def _picture(post_id: UUID, columns: Sequence[Any]) -> Media:
    media_id, filter_, width, height, order_index, status, failure = columns
    files = renditions_of(post_id, order_index) if status == "published" else None
    return Media(
        id=UUID(media_id),
        media_url=files.large.jpeg if files else None,
        thumbnail_url=files.thumbnail.jpeg if files else None,
        renditions=files,
        filter_applied=filter_,
        width=width,
        height=height,
        order_index=order_index,
        status=status,
        failure=failure,
    )


class Deleted(msgspec.Struct, frozen=True):
    """What a deletion leaves to clear away."""

    author_id: UUID
    original_keys: list[str]
    """One per picture, in order."""


LOCK: Final = """
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


def delete(db: Connection, *, post_id: UUID, viewer: Viewer) -> Deleted:
    """Take a post out of every read; its author's or an admin's right.

    Raises `PostNotFound` for what the viewer may not see, `NotAllowed` for what is another's.
    """
    row = db.execute(LOCK, {"post_id": post_id, **seen_by(viewer)}).fetchone()
    if row is None:
        raise PostNotFound
    author_id, status, original_keys = row
    if author_id != viewer.id and viewer.role != "admin":
        raise NotAllowed
    db.execute(DELETE, {"post_id": post_id, "was_published": status == "published"})
    return Deleted(author_id=author_id, original_keys=original_keys)


FINISH_PICTURE: Final = """
    UPDATE post_media
       SET status = 'published', width = %(width)s, height = %(height)s, failure = NULL
     WHERE post_id = %(post_id)s AND order_index = %(order_index)s
"""

LOCK_STATE: Final = "SELECT status, user_id FROM posts WHERE id = %(post_id)s FOR NO KEY UPDATE"

PUBLISH: Final = """
    WITH published AS (
        UPDATE posts SET status = 'published', published_at = now(), version = version + 1, updated_at = now()
         WHERE id = %(post_id)s AND status = 'processing'
           AND NOT EXISTS (SELECT FROM post_media WHERE post_id = %(post_id)s AND status <> 'published')
        RETURNING user_id
    )
    UPDATE users SET post_count = post_count + 1
      FROM published WHERE users.id = published.user_id
    RETURNING users.id
"""


def finish_picture(db: Connection, *, post_id: UUID, order_index: int, width: int, height: int) -> Note | None:
    """All renditions of a picture are stored; the one that finds no unfinished sibling publishes the post.

    Gives the note of `PostPublished` then, exactly once per post; None otherwise. Harmless for a post that is
    published, failed or deleted already; raises `PostNotFound` for one that is not (yet) there.
    """
    if _locked_state(db, post_id) != "processing":
        return None
    picture = {"post_id": post_id, "order_index": order_index, "width": width, "height": height}
    db.execute(FINISH_PICTURE, picture)
    row = db.execute(PUBLISH, {"post_id": post_id}).fetchone()
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
    """A picture can never be shown: its post has failed, and its owner can read why. Whose it is, if that is news."""
    if _locked_state(db, post_id) != "processing":
        return None
    row = db.execute(FAIL_PICTURE, {"post_id": post_id, "order_index": order_index, "reason": reason}).fetchone()
    return row[0] if row else None


def _locked_state(db: Connection, post_id: UUID) -> str:
    """The post's status, its row locked: the pictures of one post are finished one after the other."""
    row = db.execute(LOCK_STATE, {"post_id": post_id}).fetchone()
    if row is None:
        raise PostNotFound
    status: str = row[0]
    return status


ORIGINAL_KEYS: Final = "SELECT original_key FROM post_media WHERE post_id = %(post_id)s ORDER BY order_index"


def original_keys(db: Connection, *, post_id: UUID) -> list[str]:
    """Where the uploaded files of a post lie, in order; none if there is no such post."""
    return [row[0] for row in db.execute(ORIGINAL_KEYS, {"post_id": post_id})]


STATE: Final = "SELECT status FROM posts WHERE id = %(post_id)s"


def state(db: Connection, *, post_id: UUID) -> str:
    """The post's status, `deleted` included; raises `PostNotFound`."""
    row = db.execute(STATE, {"post_id": post_id}).fetchone()
    if row is None:
        raise PostNotFound
    status: str = row[0]
    return status


class Unfinished(msgspec.Struct, frozen=True):
    """A picture that has waited for long."""

    post_id: UUID
    author_id: UUID
    order_index: int
    original_key: str
    age_seconds: float


UNFINISHED: Final = """
    SELECT m.post_id, p.user_id AS author_id, m.order_index, m.original_key,
           extract(epoch FROM now() - p.updated_at)::float AS age_seconds
      FROM posts p JOIN post_media m ON m.post_id = p.id
     WHERE p.status = 'processing' AND m.status = 'processing'
       AND p.updated_at < now() - %(seconds)s * interval '1 s'
     ORDER BY p.created_at, m.post_id, m.order_index
     LIMIT %(at_most)s
"""


def unfinished(db: Connection, *, older_than_seconds: float, at_most: int) -> list[Unfinished]:
    """Pictures still processing so many seconds after their post was (last) begun, oldest first."""
    values = {"seconds": older_than_seconds, "at_most": at_most}
    with db.cursor(row_factory=rows_as(Unfinished)) as cursor:
        return cursor.execute(UNFINISHED, values).fetchall()


WITHDRAW: Final = """
    WITH withdrawn AS (DELETE FROM posts WHERE id = %(post_id)s AND status = 'processing' RETURNING id)
    INSERT INTO abandoned_files (id, keys) SELECT id, %(keys)s FROM withdrawn
    ON CONFLICT (id) DO UPDATE SET keys = excluded.keys, created_at = excluded.created_at
"""


@contextlib.contextmanager
def withdrawn_on_failure(*, post_id: UUID, keys: Sequence[str]) -> Iterator[None]:
    """What follows belongs to the new post: if it fails, the post was never there.

    `keys` are all objects that it may have by then; they are removed once nobody can still be storing them. Should the
    rows outlive even that (the database went away too), the sweeper fails them as never arrived.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(StoreUnavailable), autocommit() as db:
            db.execute(WITHDRAW, {"post_id": post_id, "keys": list(keys)})
        raise


MEDIA_REMOVED: Final = "UPDATE posts SET media_removed = true WHERE id = %(post_id)s AND status = 'deleted'"


def media_removed(*, post_id: UUID) -> None:
    """A deleted post's files are gone; one not marked so is cleared again by the sweeper."""
    with contextlib.suppress(StoreUnavailable), autocommit() as db:
        db.execute(MEDIA_REMOVED, {"post_id": post_id})


class Remains(msgspec.Struct, frozen=True):
    """A deleted post whose files may still be there."""

    post_id: UUID
    original_keys: list[str]


REMAINS: Final = """
    SELECT p.id AS post_id,
           ARRAY(SELECT m.original_key FROM post_media m WHERE m.post_id = p.id ORDER BY m.order_index) AS original_keys
      FROM posts p
     WHERE p.status = 'deleted' AND NOT p.media_removed AND p.updated_at < now() - %(seconds)s * interval '1 s'
     LIMIT %(at_most)s
"""


def remains(db: Connection, *, older_than_seconds: float, at_most: int) -> list[Remains]:
    """Deleted posts whose files could not be removed at once."""
    with db.cursor(row_factory=rows_as(Remains)) as cursor:
        return cursor.execute(REMAINS, {"seconds": older_than_seconds, "at_most": at_most}).fetchall()
