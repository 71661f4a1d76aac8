"""Events that must follow a commit, kept until the broker has confirmed them."""

import contextlib
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from layers.core import trace
from layers.core.errors import StoreUnavailable
from layers.core.events import Event, Note
from layers.core.ids import new_id
from layers.postgres.connection import Connection, autocommit

ADD: Final = """
    INSERT INTO outbox (id, queue, body, trace_id) VALUES (%(id)s, %(queue)s, %(body)s, %(trace_id)s)
"""


def add(db: Connection, event: Event) -> Note:
    """Keep an event in the same transaction as what it tells of."""
    note = Note(id=new_id(), queue=event.queue, body=msgspec.json.encode(event), trace_id=trace.trace_id.get())
    db.execute(ADD, {"id": note.id, "queue": note.queue, "body": note.body.decode(), "trace_id": note.trace_id})
    return note


WAITING: Final = """
    SELECT id, queue, body::text, trace_id
      FROM outbox
     WHERE created_at < now() - %(seconds)s * interval '1 s'
     ORDER BY id
     LIMIT %(at_most)s
       FOR UPDATE SKIP LOCKED
"""


def waiting(db: Connection, *, older_than_seconds: float, at_most: int) -> list[Note]:
    """The oldest events not yet published, locked for this transaction."""
    rows = db.execute(WAITING, {"seconds": older_than_seconds, "at_most": at_most}).fetchall()
    return [Note(id=id_, queue=queue, body=body.encode(), trace_id=trace_id) for id_, queue, body, trace_id in rows]


REMOVE: Final = "DELETE FROM outbox WHERE id = ANY(%(note_ids)s)"


def remove(db: Connection, *, note_ids: Sequence[UUID]) -> None:
    """These events were published."""
    db.execute(REMOVE, {"note_ids": list(note_ids)})


def forget(note: Note) -> None:
    """The broker has confirmed it; a note that stays is published again, which is harmless."""
    with contextlib.suppress(StoreUnavailable), autocommit() as db:
        remove(db, note_ids=[note.id])
