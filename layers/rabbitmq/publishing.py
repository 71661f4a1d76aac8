"""Publishing of events of the outbox."""

import pika
import pika.spec

from layers.core.errors import StoreUnavailable
from layers.core.events import OutboxEvent
from layers.core.logging import logger
from layers.rabbitmq import connection
from layers.rabbitmq.messages import TRACE_HEADER


def publish(event: OutboxEvent) -> bool:
    """Publish an event; False if it was withheld or not confirmed, and then it must be published later."""
    properties = pika.BasicProperties(
        content_type="application/json",
        delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE,
        message_id=str(event.id),
        headers={TRACE_HEADER: event.trace_id} if event.trace_id else None,
    )
    try:
        return connection.publish(queue=event.queue, body=event.body, properties=properties)
    except StoreUnavailable as error:
        logger().warning("event not published", queue=event.queue, event_id=str(event.id), reason=str(error))
        return False
