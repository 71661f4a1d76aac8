"""Keys of objects that no row names (any more), recorded in the same transaction; the sweeper removes the objects.

A running request may still store some of them. Therefore they are removed when all such requests must have ended.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import batched
from typing import Final
from uuid import UUID

import msgspec

from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.postgres.connection import Connection

_KEYS_PER_ROW: Final = 1000

ADD: Final = """
    INSERT INTO abandoned_files (id, keys, kept_until)
    VALUES (%(id)s, %(keys)s, coalesce(%(kept_until)s::timestamptz, now()))
"""


def add(db: Connection, *, keys: Sequence[str], kept_until: datetime | None = None) -> None:
    """Record the keys of objects; until `kept_until` clients may store them with presigned URLs, or read them."""
    for batch in batched(keys, _KEYS_PER_ROW, strict=False):
        db.execute(ADD, {"id": new_id(), "keys": list(batch), "kept_until": kept_until})


REMOVE: Final = "DELETE FROM abandoned_files WHERE id = %(id)s"


def announce(db: Connection, *, file_id: UUID, key: str) -> None:
    """Record the key of an object that will be stored and that no row names yet; see `claim`."""
    db.execute(ADD, {"id": file_id, "keys": [key], "kept_until": None})


def claim(db: Connection, *, file_id: UUID) -> None:
    """Remove the record of an announced object, because a row names it now.

    Raises `StoreUnavailable` if there is no such record any more: the sweeper has removed the object.
    """
    if not db.execute(REMOVE, {"id": file_id}).rowcount:
        raise StoreUnavailable("storage")


class AbandonedFiles(msgspec.Struct, frozen=True):
    """One row: at most 1,000 keys, or those of one post."""

    id: UUID
    keys: list[str]


LOCK_OLDEST: Final = """
    SELECT id, keys
      FROM abandoned_files
     WHERE created_at < now() - %(seconds)s * interval '1 s' AND kept_until < now() - %(seconds)s * interval '1 s'
     ORDER BY created_at
     LIMIT 1
       FOR UPDATE SKIP LOCKED
"""


def lock_oldest(db: Connection, *, older_than_seconds: float) -> AbandonedFiles | None:
    """The oldest row that is older than this many seconds, locked for this transaction; None if there is none."""
    row = db.execute(LOCK_OLDEST, {"seconds": older_than_seconds}).fetchone()
    return AbandonedFiles(*row) if row else None


def remove(db: Connection, *, abandoned: AbandonedFiles) -> None:
    """Delete a row whose objects have been removed."""
    db.execute(REMOVE, {"id": abandoned.id})
