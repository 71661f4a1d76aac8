"""The outbox relay: publishes the events that were committed with a change, and removes them from the outbox.

Source: the transactional outbox pattern (C. Richardson, Microservices Patterns, chapter 3).
"""

import contextlib
import time

import msgspec

from layers.core.errors import StoreUnavailable
from layers.core.events import OutboxEvent, PostPublished
from layers.postgres import outbox
from layers.postgres.connection import autocommit, transaction
from layers.rabbitmq import publishing
from layers.services.fan_out import fan_out


def publish(event: OutboxEvent) -> None:
    """Deliver an event after its commit, and remove it from the outbox; if that fails, the sweeper delivers it later.

    Raises `StoreUnavailable` if a post must be fanned out here and PostgreSQL is unavailable.
    """
    if deliver(event):
        # An event that stays in the outbox is published again, which is harmless.
        with contextlib.suppress(StoreUnavailable), autocommit() as db:
            outbox.remove(db, event_ids=[event.id])


def publish_waiting(*, older_than_seconds: float, at_most: int, ends_at: float) -> int:
    """Publish events that could not be published after their commit; returns their number.

    After `ends_at`, a time of the monotonic clock, no further event is published. Raises `StoreUnavailable`.
    """
    with transaction() as db:
        waiting = outbox.lock_waiting(db, older_than_seconds=older_than_seconds, at_most=at_most)
        published = [event.id for event in waiting if time.monotonic() < ends_at and deliver(event)]
        outbox.remove(db, event_ids=published)
    return len(published)


def deliver(event: OutboxEvent) -> bool:
    """Publish an event or, without RabbitMQ, fan out its post in this process; False if neither is possible."""
    if publishing.publish(event):
        return True
    if event.queue != PostPublished.queue:
        return False
    try:
        fan_out(msgspec.json.decode(event.body, type=PostPublished))
    except StoreUnavailable as error:
        if error.store == "valkey":
            return False
        raise
    return True
