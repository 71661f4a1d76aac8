"""Retries of failed messages, after 1, 2 and 4 s in wait queues (docs/decisions/0012-retries-in-the-entry-point.md).

A message in a wait queue expires and goes back to its queue. After the last attempt it goes to the dead-letter queue.
A message that finds a store away is not at fault: it waits a second again and again, which is no attempt.
"""

import time
from collections.abc import Mapping
from typing import Any

import pika
import pika.spec

from layers.core import trace
from layers.core.errors import Postponed, StoreUnavailable
from layers.rabbitmq import connection
from layers.rabbitmq.messages import (
    ATTEMPT_HEADER,
    ERROR_HEADER,
    MOST_OUTAGE_WAITS,
    OUTAGE_HEADER,
    TRACE_HEADER,
    WAITS_MS,
    QueueMessage,
)

_TEXT_LENGTH = 1000
"""The most characters of an error and of a trace id."""

_SHORT_BYTES = 255
"""The most that AMQP allows for the name of a header and for properties that are text."""

_HEADER_BYTES = 64 * 1024
"""The most that is kept of received headers. All headers must fit into one frame, of 128 KiB."""

_BROKER_HEADERS = ("x-death", "x-delivery-count", "x-first-death-", "x-last-death-")
"""Prefixes of headers that the broker writes itself."""


def publish_failed(message: QueueMessage, error: BaseException) -> None:
    """Publish a failed message to a wait queue or, after the last attempt, to the dead-letter queue with its error.

    Returns after the broker has confirmed it. Raises `StoreUnavailable`; then the whole batch must be delivered again.
    """
    attempted = {ATTEMPT_HEADER: message.attempt + 1}
    if message.is_last_attempt:
        _publish_dead(message, _headers(message, error) | attempted)
    else:
        queue = f"{message.queue}.wait-{WAITS_MS[message.attempt]}"
        _publish(message, queue, _headers(message, error) | attempted)


def publish_waiting(message: QueueMessage, error: StoreUnavailable | Postponed) -> None:
    """Publish a message that must wait, for a store or its turn: it comes back after a second, with the same attempt.

    After an hour of waiting such failures count as attempts. Raises as `publish_failed`.
    """
    if message.outage_waits >= MOST_OUTAGE_WAITS:
        publish_failed(message, error)
    else:
        headers = _headers(message, error) | {OUTAGE_HEADER: message.outage_waits + 1}
        _publish(message, f"{message.queue}.wait-{WAITS_MS[0]}", headers)


def publish_unfit(message: QueueMessage, error: BaseException) -> None:
    """Publish a message that no attempt can be made with to the dead-letter queue with its error.

    Raises as `publish_failed`.
    """
    _publish_dead(message, _headers(message, error))


def publish_replay(message: QueueMessage) -> None:
    """Publish a dead letter to its queue as if it had not been tried; body, message id and trace id stay.

    Returns after the broker has confirmed it. Raises `StoreUnavailable`; then it must stay a dead letter.
    """
    of_attempts = (ATTEMPT_HEADER, OUTAGE_HEADER, ERROR_HEADER)
    headers = {name: value for name, value in _received_headers(message).items() if name not in of_attempts}
    _publish(message, message.queue, headers)


def _publish_dead(message: QueueMessage, headers: dict[str, Any]) -> None:
    """The timestamp, in seconds, is the time at which the message became a dead letter."""
    _publish(message, f"{message.queue}.dead", headers, timestamp=int(time.time()))


def _publish(message: QueueMessage, queue: str, headers: dict[str, Any], *, timestamp: int | None = None) -> None:
    received = message.properties
    properties = pika.BasicProperties(
        content_type=_short(received.get("contentType")),
        delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE,
        message_id=_short(received.get("messageId")),
        headers=headers,
        timestamp=timestamp,
    )
    connection.publish(queue=queue, body=message.body, properties=properties)


def _headers(message: QueueMessage, error: BaseException) -> dict[str, Any]:
    """The headers of the message; the error and the trace id of the failed attempt."""
    headers = _received_headers(message)
    if trace_id := message.header(TRACE_HEADER) or trace.trace_id.get():
        headers[TRACE_HEADER] = trace_id[:_TEXT_LENGTH]
    headers[ERROR_HEADER] = f"{type(error).__name__}: {error}"[:_TEXT_LENGTH]
    return headers


def _received_headers(message: QueueMessage) -> dict[str, Any]:
    """The headers of the message, without those of the broker; not all of them if they are too large."""
    received: Mapping[str, Any] = message.properties.get("headers") or {}
    kept: dict[str, Any] = {}
    left = _HEADER_BYTES
    for name, value in received.items():
        if not name.startswith(_BROKER_HEADERS):
            field = value if isinstance(value, int) else message.header(name)
            left -= len(name.encode()) + len(str(field).encode())
            if left >= 0:
                kept[_short(name) or ""] = field
    return kept


def _short(text: str | None) -> str | None:
    """The text, cut to the length that AMQP allows."""
    return text and text.encode()[:_SHORT_BYTES].decode(errors="ignore")
