"""The outbox: events that must follow a commit, stored until RabbitMQ has confirmed them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import msgspec

from layers.core import trace
from layers.core.events import Event, OutboxEvent
from layers.core.ids import new_id
from layers.postgres.connection import Connection

ADD: Final = """
    INSERT INTO outbox (id, queue, body, trace_id) VALUES (%(id)s, %(queue)s, %(body)s, %(trace_id)s)
"""


def add(db: Connection, event: Event) -> OutboxEvent:
    """Store an event in the transaction of the change that it is about."""
    stored = OutboxEvent(id=new_id(), queue=event.queue, body=msgspec.json.encode(event), trace_id=trace.trace_id.get())
    db.execute(ADD, {"id": stored.id, "queue": stored.queue, "body": stored.body.decode(), "trace_id": stored.trace_id})
    return stored


LOCK_WAITING: Final = """
    SELECT id, queue, body::text, trace_id
      FROM outbox
     WHERE created_at < now() - %(seconds)s * interval '1 s'
     ORDER BY id
     LIMIT %(at_most)s
       FOR UPDATE SKIP LOCKED
"""


def lock_waiting(db: Connection, *, older_than_seconds: float, at_most: int) -> list[OutboxEvent]:
    """The oldest events not yet published, locked for this transaction."""
    rows = db.execute(LOCK_WAITING, {"seconds": older_than_seconds, "at_most": at_most}).fetchall()
    return [
        OutboxEvent(id=id_, queue=queue, body=body.encode(), trace_id=trace_id) for id_, queue, body, trace_id in rows
    ]


REMOVE: Final = "DELETE FROM outbox WHERE id = ANY(%(event_ids)s)"


def remove(db: Connection, *, event_ids: Sequence[UUID]) -> None:
    """Remove events that were published."""
    db.execute(REMOVE, {"event_ids": list(event_ids)})
