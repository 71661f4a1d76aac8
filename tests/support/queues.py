"""Queues to test with: each test gets its own, with wait queues and dead letters as the template's have."""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import pika
from pika.adapters.blocking_connection import BlockingChannel

from infra.rabbitmq import definitions
from infra.stack import programs
from infra.stack.profiles import profile
from layers.core.events import PHOTO_UPLOADED
from layers.rabbitmq.connection import parameters
from tests.support.waiting import until

_RABBITMQCTL: Final = "/usr/lib/rabbitmq/bin/rabbitmqctl"


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
    wanted = definitions.definitions([queue], {})
    with channel() as opened:
        opened.exchange_declare(definitions.DEAD_LETTERS, "direct", durable=True)
        for each in wanted["queues"]:
            opened.queue_declare(each["name"], durable=True, arguments=each["arguments"])
        opened.queue_bind(f"{queue}.dead", definitions.DEAD_LETTERS, queue)
    yield queue
    with channel() as opened:
        for each in wanted["queues"]:
            opened.queue_delete(each["name"])


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


def count_ready(queue: str) -> int:
    """The number of messages that no consumer has taken yet."""
    with channel() as opened:
        return int(opened.queue_declare(queue, passive=True).method.message_count)


def rabbitmqctl(*arguments: str) -> None:
    """Control the test stack's RabbitMQ."""
    environment = {**os.environ, **programs.rabbitmq_variables(profile("test"))}
    subprocess.run([_RABBITMQCTL, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def watch_notifications() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The object store's notifications from now on, read from a queue of the test's own."""
    seen: list[dict[str, Any]] = []
    with channel() as opened:
        queue = opened.queue_declare("", exclusive=True).method.queue
        opened.queue_bind(queue, definitions.PHOTOS, PHOTO_UPLOADED)

        def read() -> list[dict[str, Any]]:
            while (found := opened.basic_get(queue, auto_ack=True))[2] is not None:
                seen.append(msgspec.json.decode(found[2]))
            return seen

        yield read
