"""Queues to test with: each test gets its own, with wait queues and dead letters as the template's have."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import pika
from pika.adapters.blocking_connection import BlockingChannel

from layers.rabbitmq.connection import parameters
from tests.support.waiting import until


class Letter(msgspec.Struct, frozen=True):
    """A message found in a queue."""

    body: bytes
    headers: dict[str, Any]
    properties: pika.BasicProperties


@contextmanager
def channel() -> Iterator[BlockingChannel]:
    """A connection of the test's own, with confirms."""
    connection = pika.BlockingConnection(parameters())
    try:
        opened = connection.channel()
        opened.confirm_delivery()
        yield opened
    finally:
        connection.close()


@contextmanager
def new_queue() -> Iterator[str]:
    """A queue's name; it and what belongs to it are deleted at the end."""
    queue = f"test-{secrets.token_hex(5)}"
    kept = {"x-queue-type": "quorum"}
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
    with channel() as opened:
        opened.queue_declare(queue, durable=True, arguments=kept)
        opened.queue_declare(f"{queue}.dead", durable=True, arguments=kept)
        for wait in (1000, 2000, 4000):
            arguments = kept | dead | {"x-message-ttl": wait, "x-dead-letter-routing-key": queue}
            opened.queue_declare(f"{queue}.wait-{wait}", durable=True, arguments=arguments)
    yield queue
    with channel() as opened:
        for name in (queue, f"{queue}.dead", *(f"{queue}.wait-{wait}" for wait in (1000, 2000, 4000))):
            opened.queue_delete(name)


def publish(queue: str, *bodies: object, headers: Mapping[str, Any] | None = None) -> None:
    """Put JSON bodies into a queue, persistent and confirmed."""
    properties = pika.BasicProperties(delivery_mode=2, headers=dict(headers) if headers else None)
    with channel() as opened:
        for body in bodies:
            opened.basic_publish("", queue, msgspec.json.encode(body), properties, mandatory=True)


def take(queue: str, *, seconds: float = 10) -> Letter:
    """The next message of a queue, waited for."""
    with channel() as opened:
        method, properties, body = until(lambda: _got(opened, queue), seconds=seconds)
        opened.basic_ack(method.delivery_tag)
    return Letter(
        body, {name: of for name, of in (properties.headers or {}).items() if name != "x-delivery-count"}, properties
    )


def _got(opened: BlockingChannel, queue: str) -> tuple[Any, Any, bytes] | None:
    got: tuple[Any, Any, bytes] = opened.basic_get(queue)
    return got if got[0] else None


def ready(queue: str) -> int:
    """Messages that nobody has taken yet."""
    with channel() as opened:
        return int(opened.queue_declare(queue, passive=True).method.message_count)
