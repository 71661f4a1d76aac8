"""Uploads: files that clients send straight to the object store, and the posts that use them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from layers.core import limits
from layers.core.errors import Invalid, TooMany
from layers.postgres.connection import Connection


class NewUpload(msgspec.Struct, frozen=True):
    """A file that a client is about to send; `size` is in bytes."""

    id: UUID
    size: int
    media_type: str


LOCK_USER: Final = "SELECT FROM users WHERE id = %(user_id)s FOR NO KEY UPDATE"

COUNT_UNUSED: Final = """
    SELECT count(*), ceil(extract(epoch FROM min(created_at) - now()) + %(kept_seconds)s)::integer
      FROM uploads WHERE user_id = %(user_id)s AND post_id IS NULL AND id <> ALL(%(ids)s)
"""

BEGIN: Final = """
    INSERT INTO uploads (id, user_id, size, media_type, expires_at)
    SELECT upload.id, %(user_id)s, upload.size, upload.media_type, %(expires_at)s
      FROM unnest(%(ids)s::uuid[], %(sizes)s::integer[], %(types)s::text[]) AS upload (id, size, media_type)
    ON CONFLICT (id) DO UPDATE SET created_at = now(), expires_at = excluded.expires_at
"""


def begin(db: Connection, *, user_id: UUID, uploads: Sequence[NewUpload], expires_at: datetime) -> None:
    """Create uploads that this user may send until `expires_at`; a repetition with the same ids extends their time.

    Raises `TooMany` if more than `limits.UNUSED_UPLOADS` uploads of the user would be without a post. Must be called in
    a transaction, as it locks the account.
    """
    values = {
        "user_id": user_id,
        "ids": [upload.id for upload in uploads],
        "sizes": [upload.size for upload in uploads],
        "types": [upload.media_type for upload in uploads],
        "expires_at": expires_at,
        "kept_seconds": limits.UPLOAD_LIFETIME_SECONDS,
    }
    db.execute(LOCK_USER, values)
    unused, seconds = db.execute(COUNT_UNUSED, values).fetchone() or (0, 0)
    if unused + len(uploads) > limits.UNUSED_UPLOADS:
        refusal = f"At most {limits.UNUSED_UPLOADS} uploads may be without a post; you have {unused}."
        raise TooMany("uploads", refusal, retry_after=max(1, seconds))
    db.execute(BEGIN, values)


CHECK: Final = """
    SELECT wanted.id
      FROM unnest(%(upload_ids)s::uuid[]) WITH ORDINALITY AS wanted (id, position)
     WHERE NOT EXISTS (SELECT FROM uploads u
                        WHERE u.id = wanted.id AND u.user_id = %(user_id)s
                          AND (u.post_id IS NULL OR u.post_id = %(post_id)s)
                          AND u.created_at > now() - %(seconds)s * interval '1 s')
     ORDER BY wanted.position LIMIT 1
"""


def check(db: Connection, *, upload_ids: Sequence[UUID], user_id: UUID, post_id: UUID) -> None:
    """Raises `Invalid` unless all uploads belong to the user and are not used by another post."""
    row = db.execute(CHECK, _values(upload_ids, user_id, post_id)).fetchone()
    if row is not None:
        raise Invalid.field("uploads", f"{row[0]}: there is no such upload of yours, or it was used already")


TAKE: Final = """
    WITH free AS (
        SELECT id FROM uploads
         WHERE id = ANY(%(upload_ids)s) AND user_id = %(user_id)s AND (post_id IS NULL OR post_id = %(post_id)s)
           AND created_at > now() - %(seconds)s * interval '1 s'
         ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE uploads SET post_id = %(post_id)s FROM free WHERE uploads.id = free.id
"""


def take(db: Connection, *, upload_ids: Sequence[UUID], user_id: UUID, post_id: UUID) -> None:
    """Assign uploads to a post, in the transaction that creates it; raises `Invalid` if another post uses one."""
    if db.execute(TAKE, _values(upload_ids, user_id, post_id)).rowcount != len(upload_ids):
        raise Invalid.field("uploads", "one of them was used already")


DELETE_OLD: Final = """
    DELETE FROM uploads
     WHERE id IN (SELECT id FROM uploads WHERE created_at < now() - %(seconds)s * interval '1 s'
                   ORDER BY created_at LIMIT %(at_most)s FOR UPDATE SKIP LOCKED)
    RETURNING id
"""


def delete_old(db: Connection, *, older_than_seconds: float, at_most: int) -> list[UUID]:
    """Delete the rows of uploads older than this many seconds, used or not; returns their ids.

    Concurrent calls never delete the same row.
    """
    values = {"seconds": older_than_seconds, "at_most": at_most}
    return [row[0] for row in db.execute(DELETE_OLD, values)]


def _values(upload_ids: Sequence[UUID], user_id: UUID, post_id: UUID) -> dict[str, object]:
    return {
        "upload_ids": list(upload_ids),
        "user_id": user_id,
        "post_id": post_id,
        "seconds": limits.UPLOAD_USABLE_SECONDS,
    }
