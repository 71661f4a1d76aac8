"""The door for queues: AWS's `aws:rmq` event, one message at a time, each failure on its own.

AWS requeues whole batches only, so the retries are ours, and the same on AWS: a message that failed waits 1, 2 and
4 s in wait queues and is tried again; after that it goes to the dead-letter queue with its error. The invocation
fails, and the batch comes back, only if that cannot be published.
"""

import base64
import functools
import importlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import msgspec

from layers.core import trace
from layers.core.logging import function_name, logger

ATTEMPT_HEADER = "x-attempt"
TRACE_HEADER = "x-trace-id"
ERROR_HEADER = "x-error"
WAITS_MS = (1000, 2000, 4000)


class Message(msgspec.Struct, frozen=True):
    """One message of an event."""

    queue: str
    body: bytes
    properties: Mapping[str, Any]
    redelivered: bool

    def header(self, name: str) -> str | None:
        """A header's value as text; AWS gives strings as lists of bytes."""
        value = (self.properties.get("headers") or {}).get(name)
        if isinstance(value, Mapping) and "bytes" in value:
            return bytes(byte % 256 for byte in value["bytes"]).decode(errors="replace")
        return None if value is None else str(value)

    @property
    def attempt(self) -> int:
        """0 at the first try."""
        given = self.header(ATTEMPT_HEADER) or "0"
        return int(given) if given.isdigit() else 0

    @property
    def is_last_try(self) -> bool:
        """Whether a failure now ends among the dead letters."""
        return self.attempt >= len(WAITS_MS)


class Retries(Protocol):
    """`layers.rabbitmq.retries`."""

    def later(self, message: Message, error: BaseException) -> None:
        """Publish to the next wait queue, or to the dead letters after the last; confirmed. May raise."""


@functools.cache
def _retries() -> Retries:
    """The port to RabbitMQ, named here because core imports no store."""
    return cast("Retries", importlib.import_module("layers.rabbitmq.retries"))


def messages_of(event: Mapping[str, Any]) -> list[Message]:
    """All messages of an `aws:rmq` event, in order."""
    return [
        Message(
            queue=source.split("::")[0],
            body=base64.b64decode(given["data"]),
            properties=given.get("basicProperties") or {},
            redelivered=bool(given.get("redelivered")),
        )
        for source, several in event["rmqMessagesByQueue"].items()
        for given in several
    ]


def on_message[Body](
    kind: type[Body], *, given_up: Callable[[Body, Exception], object] | None = None
) -> Callable[[Callable[[Body], object]], Callable[[Mapping[str, Any], object], None]]:
    """Make a Lambda handler of a function that takes one message, decoded as `kind` from JSON.

    A handler that cannot ever succeed says so in its row and returns; anything it raises is tried again. When the
    last try has failed too, `given_up` gets the message and the error, just before it becomes a dead letter.
    """

    def door(handler: Callable[[Body], object]) -> Callable[[Mapping[str, Any], object], None]:
        name = function_name(handler)

        @functools.wraps(handler)
        def deliver(event: Mapping[str, Any], context: object) -> None:  # noqa: ARG001 (Lambda's form)
            for message in messages_of(event):
                _one(name, handler, given_up, kind, message)

        return deliver

    return door


def _one[Body](
    name: str,
    handler: Callable[[Body], object],
    given_up: Callable[[Body, Exception], object] | None,
    kind: type[Body],
    message: Message,
) -> None:
    started = time.perf_counter()
    trace.trace_id.set(message.header(TRACE_HEADER))
    outcome = "done"
    body: Body | None = None
    try:
        body = msgspec.json.decode(message.body, type=kind)
        handler(body)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is tried again)
        outcome = type(error).__name__
        logger().exception("message failed", function=name, attempt=message.attempt)
        if given_up and body is not None and message.is_last_try:
            _give_up(given_up, body, error)
        _retries().later(message, error)
    logger().info(
        "message",
        function=name,
        trace_id=trace.trace_id.get(),
        queue=message.queue,
        attempt=message.attempt,
        outcome=outcome,
        duration_ms=round((time.perf_counter() - started) * 1000, 2),
    )


def _give_up[Body](given_up: Callable[[Body, Exception], object], body: Body, error: Exception) -> None:
    """A failure here must not keep the message from the dead letters."""
    try:
        given_up(body, error)
    except Exception:  # noqa: BLE001
        logger().exception("giving up failed")
