"""The environment's one connection to RabbitMQ, opened at first use."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import msgspec
import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from layers.core.breaker import Breaker
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

_CONNECT_SECONDS = 1
_ANSWER_SECONDS = 2
_HEARTBEAT_SECONDS = 60
"""Nobody answers heartbeats while an environment is idle or frozen, so the broker closes its connection after two or
three minutes. That is wanted: no dead connection stays behind, and the next publish notices and opens another."""

UNAVAILABLE_ERRORS = (pika.exceptions.AMQPError, AMQPConnectorException, OSError)
"""What pika raises when the broker is away, refuses or does not answer (`TimeoutError` is an `OSError`)."""

_breaker = Breaker("rabbitmq", failure_ratio=0.5, volume=3, reset_seconds=2)
_local = threading.local()


class _OpenChannel(msgspec.Struct, frozen=True):
    """A connection with its channel, on which the broker confirms each message."""

    connection: pika.BlockingConnection
    channel: BlockingChannel


def publish(*, queue: str, body: bytes, properties: pika.BasicProperties) -> None:
    """Put a message into a queue; returns once the broker has confirmed that it keeps it.

    Raises `StoreUnavailable` when the broker is away, does not answer within 2 s, refuses, or has no such queue.
    A connection that died while idle is replaced: the message may then arrive twice, never not at all.
    """
    with _breaker.guard(), _driver_errors():
        link, is_fresh = _open()
        try:
            _publish(link, queue, body, properties)
        except pika.exceptions.AMQPConnectionError:
            if is_fresh:
                raise
            _drop()
            _publish(_open()[0], queue, body, properties)


def queue_depth(queue: str) -> int:
    """Messages ready in a queue; raises `StoreUnavailable`, or `LookupError` for a queue that does not exist."""
    with _breaker.guard(), _driver_errors():
        link, _ = _open()
        with _deadline(link):
            channel = link.connection.channel()  # one of its own: the broker closes it when there is no such queue
            try:
                declared = channel.queue_declare(queue, passive=True)
            except pika.exceptions.ChannelClosedByBroker as error:
                raise LookupError(queue) from error
            channel.close()
        return int(declared.method.message_count)


def close() -> None:
    """Close this thread's connection; the next use opens another."""
    _drop()


def parameters(*, heartbeat_seconds: int = _HEARTBEAT_SECONDS) -> pika.URLParameters:
    """How to connect: RABBITMQ_URL with short timeouts."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs with tracebacks what it then raises
    found = pika.URLParameters(settings().rabbitmq_url)
    found.heartbeat = heartbeat_seconds
    found.socket_timeout = _CONNECT_SECONDS
    found.stack_timeout = _ANSWER_SECONDS
    found.blocked_connection_timeout = _ANSWER_SECONDS
    found.connection_attempts = 1
    return found


def _publish(link: _OpenChannel, queue: str, body: bytes, properties: pika.BasicProperties) -> None:
    with _deadline(link):
        link.channel.basic_publish(exchange="", routing_key=queue, body=body, properties=properties, mandatory=True)


def _open() -> tuple[_OpenChannel, bool]:
    """The connection, and whether it was opened just now."""
    held: _OpenChannel | None = getattr(_local, "link", None)
    if held is not None and _is_alive(held):
        return held, False
    _drop()
    connection = pika.BlockingConnection(parameters())
    channel = connection.channel()
    channel.confirm_delivery()
    _local.link = _OpenChannel(connection, channel)
    return _local.link, True


def _is_alive(link: _OpenChannel) -> bool:
    """Whether the broker has not closed the idle connection: it would have said so on the socket."""
    try:
        link.connection.process_data_events(time_limit=0)
    except pika.exceptions.AMQPError:
        return False
    return bool(link.connection.is_open and link.channel.is_open)


def _drop() -> None:
    held: _OpenChannel | None = getattr(_local, "link", None)
    _local.link = None
    if held is not None and not held.connection.is_closed:
        # Closed below pika: its own close() waits for an answer that a stuck broker never gives.
        with suppress(Exception):
            held.connection._impl._terminate_stream(ConnectionAbortedError())  # noqa: SLF001
            held.connection.process_data_events(time_limit=1)  # returns at once: this lets go of the sockets


@contextmanager
def _deadline(link: _OpenChannel) -> Iterator[None]:
    """Give up after 2 s: pika waits for a confirm without end, and only timers of its own loop can stop that."""
    loop = link.connection._impl.ioloop  # noqa: SLF001
    timer = loop.call_later(_ANSWER_SECONDS, _raise_timeout)
    try:
        yield
    finally:
        loop.remove_timeout(timer)


def _raise_timeout() -> None:
    raise TimeoutError("no answer from the broker")


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except pika.exceptions.UnroutableError as error:
        returned = cast("pika.exceptions.UnroutableError", error).messages
        raise StoreUnavailable("rabbitmq", f"There is no queue {returned[0].method.routing_key}.") from error
    except UNAVAILABLE_ERRORS as error:
        _drop()
        raise StoreUnavailable("rabbitmq") from error
