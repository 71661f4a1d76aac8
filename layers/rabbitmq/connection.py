"""The connection of each thread to RabbitMQ, opened at first use."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, cast

import msgspec
import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from layers.core import tls, waiting
from layers.core.breaker import Breaker
from layers.core.errors import StoreUnavailable
from layers.core.settings import settings

_CONNECT_SECONDS = 1
_ANSWER_SECONDS = 2
_HEARTBEAT_SECONDS = 60
"""An idle or frozen environment does not answer heartbeats, so the broker closes its connection after two to three
minutes. This is intended: no dead connections remain, and the next publish opens a new one."""

UNAVAILABLE_ERRORS = (pika.exceptions.AMQPError, AMQPConnectorException, OSError)
"""What pika raises if the broker is unavailable, refuses or does not answer (`TimeoutError` is an `OSError`)."""

type Show = Callable[[str, bytes, Mapping[str, Any]], object]
"""Gets the queue, the body and the headers of a message that is not published."""

_breaker = Breaker("rabbitmq", failure_ratio=0.5, volume=3, reset_seconds=2)
_local = threading.local()
_show: ContextVar[Show | None] = ContextVar("show", default=None)


class _OpenChannel(msgspec.Struct, frozen=True):
    """A connection and its channel, on which the broker confirms each message."""

    connection: pika.BlockingConnection
    channel: BlockingChannel


def publish(*, queue: str, body: bytes, properties: pika.BasicProperties) -> bool:
    """Publish a message to a queue; True after the broker has confirmed it, False if it was withheld (`withhold`).

    Raises `StoreUnavailable` if the broker is unavailable, does not answer within 2 s, refuses, or has no such queue. A
    request waits for it no longer than half of the time that it has left, as what follows may not need the message. If
    the connection was closed while idle, the message is published again on a new one, and may arrive twice.
    """
    if show := _show.get():
        show(queue, body, properties.headers or {})
        return False
    waiting.check("rabbitmq")
    with waiting.half(), _breaker.guard(), _driver_errors():
        open_channel, is_new = _open()
        try:
            _publish(open_channel, queue, body, properties)
        except pika.exceptions.AMQPConnectionError:
            if is_new:
                raise
            _drop()
            _publish(_open()[0], queue, body, properties)
    return True


@contextmanager
def withhold(show: Show) -> Iterator[None]:
    """Show what this thread would publish in the context, and publish nothing."""
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)


def queue_depth(queue: str) -> int:
    """The number of ready messages in a queue; raises `StoreUnavailable`, or `LookupError` for an unknown queue."""
    with _breaker.guard(), _driver_errors():
        open_channel, _ = _open()
        with _deadline(open_channel.connection):
            # A separate channel, because the broker closes it if there is no such queue.
            channel = open_channel.connection.channel()
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
    """The connection parameters: RABBITMQ_URL with short timeouts, within the time that the request has left."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs the errors that it also raises
    parsed = url_parameters(settings().rabbitmq_url, ca_file=settings().stores_ca_file)
    parsed.heartbeat = heartbeat_seconds
    parsed.socket_timeout = waiting.limit(_CONNECT_SECONDS)
    parsed.stack_timeout = waiting.limit(_ANSWER_SECONDS)
    parsed.blocked_connection_timeout = _ANSWER_SECONDS
    parsed.connection_attempts = 1
    return parsed


def url_parameters(url: str, *, ca_file: str) -> pika.URLParameters:
    """A URL as parameters; with `amqps`, the certificate is checked as `layers.core.tls` says."""
    parsed = pika.URLParameters(url)
    if parsed.ssl_options is not None:
        parsed.ssl_options = pika.SSLOptions(tls.context(ca_file), parsed.host)
    return parsed


def _publish(open_channel: _OpenChannel, queue: str, body: bytes, properties: pika.BasicProperties) -> None:
    with _deadline(open_channel.connection):
        open_channel.channel.basic_publish(
            exchange="", routing_key=queue, body=body, properties=properties, mandatory=True
        )


def _open() -> tuple[_OpenChannel, bool]:
    """The connection, and whether this call has opened it."""
    open_channel: _OpenChannel | None = getattr(_local, "channel", None)
    if open_channel is not None and _is_alive(open_channel):
        return open_channel, False
    _drop()
    with waiting.measured():
        connection = pika.BlockingConnection(parameters())
    try:
        with _deadline(connection):
            channel = connection.channel()
            channel.confirm_delivery()
    except BaseException:
        _terminate(connection)
        raise
    _local.channel = _OpenChannel(connection, channel)
    return _local.channel, True


def _is_alive(open_channel: _OpenChannel) -> bool:
    """Whether the idle connection is still open: a broker that has closed it has sent that on the socket."""
    try:
        open_channel.connection.process_data_events(time_limit=0)
    except pika.exceptions.AMQPError:
        return False
    return bool(open_channel.connection.is_open and open_channel.channel.is_open)


def _drop() -> None:
    open_channel: _OpenChannel | None = getattr(_local, "channel", None)
    _local.channel = None
    if open_channel is not None:
        _terminate(open_channel.connection)


def _terminate(connection: pika.BlockingConnection) -> None:
    """Close it without pika's close(), which waits for an answer that a broken broker may never send."""
    if not connection.is_closed:
        with suppress(Exception):
            connection._impl._terminate_stream(ConnectionAbortedError())  # noqa: SLF001
            connection.process_data_events(time_limit=1)  # returns at once; it closes the sockets


@contextmanager
def _deadline(connection: pika.BlockingConnection) -> Iterator[None]:
    """Raise `TimeoutError` in the block after 2 s, or when the request's time ends.

    pika has no timeouts for channels and confirms, but timers in its loop.
    """
    loop = connection._impl.ioloop  # noqa: SLF001
    timer = loop.call_later(waiting.limit(_ANSWER_SECONDS), _raise_timeout)
    try:
        with waiting.measured():
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
