"""Retries of failed messages, after 1, 2 and 4 s in wait queues (docs/decisions/0012-retries-in-the-entry-point.md).

A message in a wait queue expires and goes back to its queue. After the last attempt it goes to the dead-letter queue.
"""

from collections.abc import Mapping
from typing import Any

import pika
import pika.spec

from layers.core import trace
from layers.rabbitmq import connection
from layers.rabbitmq.messages import ATTEMPT_HEADER, ERROR_HEADER, TRACE_HEADER, WAITS_MS, QueueMessage

_ERROR_LENGTH = 1000
_BROKER_HEADERS = ("x-death", "x-delivery-count", "x-first-death-", "x-last-death-")
"""Prefixes of headers that the broker writes itself."""


def publish_failed(message: QueueMessage, error: BaseException) -> None:
    """Publish a failed message to a wait queue or, after the last attempt, to the dead-letter queue with its error.

    Returns after the broker has confirmed it. Raises `StoreUnavailable`; then the whole batch must be delivered again.
    """
    is_last = message.is_last_attempt
    queue = f"{message.queue}.dead" if is_last else f"{message.queue}.wait-{WAITS_MS[message.attempt]}"
    headers = _headers(message)
    headers[ERROR_HEADER] = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
    if not is_last:
        headers[ATTEMPT_HEADER] = message.attempt + 1
    received = message.properties
    properties = pika.BasicProperties(
        content_type=received.get("contentType"),
        delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE,
        message_id=received.get("messageId"),
        headers=headers,
    )
    connection.publish(queue=queue, body=message.body, properties=properties)


def _headers(message: QueueMessage) -> dict[str, Any]:
    """The headers of the message, without those of the broker, and the trace id of the failed attempt."""
    received: Mapping[str, Any] = message.properties.get("headers") or {}
    headers: dict[str, Any] = {
        name: value if isinstance(value, int) else message.header(name)
        for name, value in received.items()
        if not name.startswith(_BROKER_HEADERS)
    }
    if trace_id := message.header(TRACE_HEADER) or trace.trace_id.get():
        headers[TRACE_HEADER] = trace_id
    return headers
