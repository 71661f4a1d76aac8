"""Failed messages: each goes to a wait queue for 1, 2 and 4 s and back, and then to the dead-letter queue.

A message in a wait queue expires into the queue that it came from.
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
"""Headers that the broker writes, and writes anew."""


def publish_failed(message: QueueMessage, error: BaseException) -> None:
    """Keep a failed message for its next try, or, after the last, as a dead letter with its error.

    Returns once the broker has confirmed it; raises `StoreUnavailable` when that cannot be had, and the batch must
    come back.
    """
    is_last = message.is_last_attempt
    queue = f"{message.queue}.dead" if is_last else f"{message.queue}.wait-{WAITS_MS[message.attempt]}"
    headers = _headers(message)
    headers[ERROR_HEADER] = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
    if not is_last:
        headers[ATTEMPT_HEADER] = message.attempt + 1
    given = message.properties
    properties = pika.BasicProperties(
        content_type=given.get("contentType"),
        delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE,
        message_id=given.get("messageId"),
        headers=headers,
    )
    connection.publish(queue=queue, body=message.body, properties=properties)


def _headers(message: QueueMessage) -> dict[str, Any]:
    """The message's own headers, and the trace id of the work that failed."""
    given: Mapping[str, Any] = message.properties.get("headers") or {}
    headers: dict[str, Any] = {
        name: value if isinstance(value, int) else message.header(name)
        for name, value in given.items()
        if not name.startswith(_BROKER_HEADERS)
    }
    if trace_id := message.header(TRACE_HEADER) or trace.trace_id.get():
        headers[TRACE_HEADER] = trace_id
    return headers
