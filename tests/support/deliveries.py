"""Messages as the queue consumer hands them to a handler."""

from types import ModuleType

import msgspec
import pika

from infra.events.queue import Delivery, build_event


def deliver(
    module: ModuleType, *bodies: object, queue: str = "test", attempt: int = 0, trace_id: str | None = None
) -> None:
    """One event with these bodies, encoded as JSON unless they are bytes; returns when it is acknowledged."""
    headers = {name: value for name, value in {"x-attempt": attempt, "x-trace-id": trace_id}.items() if value}
    deliveries = [
        Delivery(
            tag=number,
            redelivered=False,
            properties=pika.BasicProperties(delivery_mode=2, headers=headers),
            body=body if isinstance(body, bytes) else msgspec.json.encode(body),
        )
        for number, body in enumerate(bodies, start=1)
    ]
    module.handler(build_event(queue, "/", deliveries), None)
