"""Objects whose rows are gone: named in the transaction that removed the rows, cleared away afterwards.

A request that was under way may store some of them a moment later, so they are removed once more when nobody can still
be storing them.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import batched
from typing import Final
from uuid import UUID

import msgspec

from layers.core.ids import new_id
from layers.postgres.connection import Connection

_KEYS_PER_ROW: Final = 1000

ADD: Final = """
    INSERT INTO abandoned_files (id, keys, writable_until)
    VALUES (%(id)s, %(keys)s, coalesce(%(writable_until)s::timestamptz, now()))
"""


def add(db: Connection, *, keys: Sequence[str], writable_until: datetime | None = None) -> None:
    """Name these objects; `writable_until` says how long they may be stored without asking for their rows."""
    for some in batched(keys, _KEYS_PER_ROW, strict=False):
        db.execute(ADD, {"id": new_id(), "keys": list(some), "writable_until": writable_until})


class AbandonedFiles(msgspec.Struct, frozen=True):
    """At most a thousand objects, or those of one post."""

    id: UUID
    keys: list[str]


LOCK_OLDEST: Final = """
    SELECT id, keys
      FROM abandoned_files
     WHERE created_at < now() - %(seconds)s * interval '1 s' AND writable_until < now() - %(seconds)s * interval '1 s'
     ORDER BY created_at
     LIMIT 1
       FOR UPDATE SKIP LOCKED
"""


def lock_oldest(db: Connection, *, older_than_seconds: float) -> AbandonedFiles | None:
    """The objects that have been abandoned for the longest time, if it is so long; locked for this transaction."""
    row = db.execute(LOCK_OLDEST, {"seconds": older_than_seconds}).fetchone()
    return AbandonedFiles(*row) if row else None


REMOVE: Final = "DELETE FROM abandoned_files WHERE id = %(id)s"


def remove(db: Connection, *, abandoned: AbandonedFiles) -> None:
    """They are gone."""
    db.execute(REMOVE, {"id": abandoned.id})
