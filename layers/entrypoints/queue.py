"""Entry point of queues: an `aws:rmq` event, whose messages are handled, and fail, independently of each other.

AWS can requeue a whole batch only, so the retries are made here: a message that failed waits 1, 2 and 4 s in wait
queues and is tried again; after the fourth attempt it becomes a dead letter with its error. While a store is away, the
message waits until it is back. Only if RabbitMQ does not accept it there, the invocation fails and the whole batch is
delivered again (docs/decisions/0012).
"""

import contextlib
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from layers.core import trace, untrusted_json
from layers.core.errors import Postponed, StoreUnavailable
from layers.core.logging import function_name, logger
from layers.entrypoints.invocation import invocation
from layers.rabbitmq import connection, retries
from layers.rabbitmq.messages import TRACE_HEADER, WITHHOLD, QueueMessage, read_messages

_SHOWN_CHARACTERS: Final = 1000
"""How much of a message that is not published is logged."""


def on_message[Body](
    kind: type[Body], *, give_up: Callable[[Body, Exception], object] | None = None
) -> Callable[[Callable[[Body], object]], Callable[[Mapping[str, Any], object], None]]:
    """Make a Lambda handler from a function that takes one message, decoded from JSON as `kind`; use it as a decorator.

    A message for which the function raises an error is tried again; if no retry can help, the function records the
    failure and returns. When the last attempt fails, `give_up` is called with the message and the error before the
    message becomes a dead letter. An event with `withholdMessages` publishes nothing, its retries included.
    """

    def decorate(handler: Callable[[Body], object]) -> Callable[[Mapping[str, Any], object], None]:
        name = function_name(handler)

        @functools.wraps(handler)
        def deliver(event: Mapping[str, Any], context: object) -> None:
            show = functools.partial(_log_withheld, name)
            withholding = connection.withhold(show) if event.get(WITHHOLD) else contextlib.nullcontext()
            with invocation(context), withholding:
                for message in read_messages(event):
                    _process(name, handler, give_up, kind, message)

        return deliver

    return decorate


def _process[Body](
    name: str,
    handler: Callable[[Body], object],
    give_up: Callable[[Body, Exception], object] | None,
    kind: type[Body],
    message: QueueMessage,
) -> None:
    started = time.perf_counter()
    trace.trace_id.set(message.header(TRACE_HEADER))
    outcome = "done"
    body: Body | None = None
    try:
        body = untrusted_json.decode(message.body, kind)
        handler(body)
    except Exception as error:  # noqa: BLE001 (every failure is tried again)
        if isinstance(error, StoreUnavailable) and error.is_outage:
            outcome = f"waits for {error.store}"
            retries.publish_waiting(message, error)
        elif isinstance(error, Postponed):
            outcome = "waits for its turn"
            retries.publish_waiting(message, error)
        else:
            outcome = type(error).__name__
            logger().exception("message failed", function=name, attempt=message.attempt)
            if give_up and body is not None and message.is_last_attempt:
                _give_up(give_up, body, error)
            retries.publish_failed(message, error)
    logger().info(
        "message",
        function=name,
        trace_id=trace.trace_id.get(),
        queue=message.queue,
        attempt=message.attempt,
        outcome=outcome,
        duration_ms=round((time.perf_counter() - started) * 1000, 2),
    )


def _log_withheld(name: str, queue: str, body: bytes, headers: Mapping[str, Any]) -> None:
    text = body.decode(errors="replace")[:_SHOWN_CHARACTERS]
    logger().info("not published", function=name, queue=queue, headers=headers, body=text)


def _give_up[Body](give_up: Callable[[Body, Exception], object], body: Body, error: Exception) -> None:
    """If this fails too, the message must still become a dead letter."""
    try:
        give_up(body, error)
    except Exception:  # noqa: BLE001
        logger().exception("give_up failed")
