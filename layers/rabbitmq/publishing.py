"""Publishing of events right after the commit that keeps them in the outbox."""

import pika
import pika.spec

from layers.core.errors import StoreUnavailable
from layers.core.events import Note
from layers.core.logging import logger
from layers.core.queue import TRACE_HEADER
from layers.rabbitmq import connection


def send(note: Note) -> bool:
    """Whether the broker has confirmed the event; False when it is away, and the note stays for the sweeper."""
    properties = pika.BasicProperties(
        content_type="application/json",
        delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE,
        message_id=str(note.id),
        headers={TRACE_HEADER: note.trace_id} if note.trace_id else None,
    )
    try:
        connection.publish(queue=note.queue, body=note.body, properties=properties)
    except StoreUnavailable as error:
        logger().warning("event not published", queue=note.queue, note_id=str(note.id), reason=str(error))
        return False
    return True
