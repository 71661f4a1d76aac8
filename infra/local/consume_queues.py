"""The queue consumer: does for every `Type: MQ` event of template.yaml what Lambda's event source mapping for Amazon MQ
does.

Each mapping has one execution environment, or as many as the template allows it, and for each a connection and a thread
that polls. A batch is acknowledged after the handler has succeeded, and requeued as a whole when it raises, crashes or
times out.

A message whose headers pika cannot read ends the connection before it is seen here, again and again. So after a
connection that failed at once, messages are taken one by one for a while: only deliveries of that message count, until
the broker makes it a dead letter.
https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html
"""

import concurrent.futures
import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from infra.environments.invocation import Invocable, InvocationFailed
from infra.events import recorded
from infra.events.queue import Delivery, build_event
from infra.template_map import Function, queues
from layers.core.errors import StoreUnavailable
from layers.core.logging import logger
from layers.rabbitmq import retries
from layers.rabbitmq.connection import UNAVAILABLE_ERRORS, parameters
from layers.rabbitmq.connection import close as close_publisher
from layers.rabbitmq.messages import read_messages
from layers.valkey import heartbeats

MAX_EVENT_BYTES = 6 * 1024 * 1024
"""Lambda's limit for an event. Lambda drops a message that exceeds it alone; here it becomes a dead letter."""

_BASE64 = 4 / 3
_HEARTBEAT_SECONDS = 30
_POLL_SECONDS = 0.25
_BEAT_SECONDS = 15
_STUCK_SECONDS = 60
_FAILED_AT_ONCE_SECONDS = 2
_ONE_BY_ONE_SECONDS = 10


class EventTooLarge(Exception):
    """A message that cannot be delivered, because its event exceeds the limit."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One event source mapping."""

    function: str
    queue: str
    batch_size: int = 100
    window_seconds: float = 0.5
    timeout_seconds: float = 3


class Poller(threading.Thread):
    """Polls one queue until `stopping` is set; goes on after failures of the broker or the environment."""

    def __init__(self, source: Source, stopping: threading.Event, environment: Invocable) -> None:
        super().__init__(name=source.queue)
        self.source = source
        self.environment = environment
        self.active_at = time.monotonic()
        """When its loop last ran, by the monotonic clock; a hung thread stops updating it."""
        self._stopping = stopping
        self._invoker = concurrent.futures.ThreadPoolExecutor(1)
        self._pauses = _backoff()
        self._virtual_host = ""
        self._one_by_one_until = 0.0

    def run(self) -> None:
        """Poll; a lost connection is opened again after a growing pause."""
        self._invoker.submit(self.environment.start)  # start before the first message arrives
        pauses = _backoff()
        while not self._stopping.is_set():
            connected_at = -float("inf")
            try:
                with self._connect() as (connection, channel):
                    pauses, connected_at = _backoff(), time.monotonic()
                    self._poll(connection, channel)
            except Exception as error:  # noqa: BLE001 (after any failure, try again; the other queues are not affected)
                if time.monotonic() - connected_at < _FAILED_AT_ONCE_SECONDS:
                    self._one_by_one_until = time.monotonic() + _ONE_BY_ONE_SECONDS
                logger().warning("cannot poll queue", queue=self.source.queue, reason=repr(error))
                self.active_at = time.monotonic()
                self._stopping.wait(next(pauses))
        close_publisher()
        self._invoker.shutdown()
        self.environment.kill()

    @contextlib.contextmanager
    def _connect(self) -> Iterator[tuple[pika.BlockingConnection, BlockingChannel]]:
        broker = parameters(heartbeat_seconds=_HEARTBEAT_SECONDS)
        self._virtual_host = broker.virtual_host
        connection = pika.BlockingConnection(broker)
        try:
            yield connection, connection.channel()
        finally:
            with contextlib.suppress(*UNAVAILABLE_ERRORS):
                connection.close()  # the broker requeues what is not acknowledged

    def _poll(self, connection: pika.BlockingConnection, channel: BlockingChannel) -> None:
        """Poll until `stopping` is set, or until messages need not be taken one by one any more."""
        received: deque[Delivery] = deque()
        first_at = 0.0
        is_one_by_one = time.monotonic() < self._one_by_one_until
        batch_size = 1 if is_one_by_one else self.source.batch_size

        def collect(_channel: object, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
            nonlocal first_at
            if not received:
                first_at = time.monotonic()
            delivery = Delivery(
                tag=method.delivery_tag, redelivered=method.redelivered, properties=properties, body=body
            )
            received.append(delivery)

        channel.basic_qos(prefetch_count=batch_size)
        channel.add_on_cancel_callback(_raise_cancelled)
        channel.basic_consume(self.source.queue, collect)
        while not self._stopping.is_set():
            self.active_at = time.monotonic()
            if is_one_by_one and not received and self.active_at >= self._one_by_one_until:
                return
            due_at = first_at + self.source.window_seconds if received else self.active_at + _POLL_SECONDS
            if not received or (len(received) < batch_size and due_at > self.active_at):
                connection.process_data_events(time_limit=max(0.0, due_at - self.active_at))
                continue
            batch = _take_batch(received)
            if _event_bytes(batch) > MAX_EVENT_BYTES:
                self._dead_letter(batch[0])
                channel.basic_ack(batch[0].tag)
            else:
                self._deliver(connection, channel, batch)

    def _dead_letter(self, delivery: Delivery) -> None:
        """Publish a message that is too large for an event to the dead-letter queue; raises `StoreUnavailable`."""
        [message] = read_messages(build_event(self.source.queue, self._virtual_host, [delivery]))
        error = EventTooLarge(
            f"The body has {len(delivery.body):,} bytes, in Base64 more than the {MAX_EVENT_BYTES:,} bytes of an event."
        )
        retries.publish_unfit(message, error)
        logger().error("message dead-lettered", queue=self.source.queue, reason=str(error))

    def _deliver(self, connection: pika.BlockingConnection, channel: BlockingChannel, batch: list[Delivery]) -> None:
        """Invoke in another thread while this one answers the broker's heartbeats; then acknowledge or requeue."""
        event = build_event(self.source.queue, self._virtual_host, batch)
        started = time.perf_counter()
        invocation = self._invoker.submit(self.environment.invoke, event, timeout_seconds=self.source.timeout_seconds)
        invocation.add_done_callback(lambda _: _interrupt_wait(connection))
        try:
            while not invocation.done():
                self.active_at = time.monotonic()
                connection.process_data_events(time_limit=_POLL_SECONDS)
        except UNAVAILABLE_ERRORS:
            concurrent.futures.wait([invocation])  # the broker redelivers the batch: the environment must be free
            raise
        error_type = type(invocation.exception()).__name__ if invocation.exception() else ""
        seconds = time.perf_counter() - started
        recorded.record(self.source.function, "queue", event, None, seconds=seconds, error=error_type)
        try:
            invocation.result()
        except InvocationFailed as error:
            outcome = type(error).__name__
            logger().error("batch requeued", function=self.source.function, outcome=outcome, reason=str(error))
            self._pause(connection, next(self._pauses))
            channel.basic_nack(batch[-1].tag, multiple=True, requeue=True)
        else:
            self._pauses = _backoff()
            channel.basic_ack(batch[-1].tag, multiple=True)

    def _pause(self, connection: pika.BlockingConnection, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while (remaining := ends_at - time.monotonic()) > 0 and not self._stopping.is_set():
            self.active_at = time.monotonic()
            connection.process_data_events(time_limit=min(remaining, _POLL_SECONDS))


def _take_batch(received: deque[Delivery]) -> list[Delivery]:
    """Remove and return the oldest deliveries that fit into one event, at least one."""
    batch = [received.popleft()]
    while received and _event_bytes([*batch, received[0]]) <= MAX_EVENT_BYTES:
        batch.append(received.popleft())
    return batch


def _event_bytes(batch: Sequence[Delivery]) -> float:
    """The size of the event, without a few hundred bytes of properties per message."""
    return sum(len(delivery.body) for delivery in batch) * _BASE64


def _raise_cancelled(_method: object) -> None:
    raise ConnectionError("the queue was deleted")


def _interrupt_wait(connection: pika.BlockingConnection) -> None:
    """End the running `process_data_events` of the connection's thread."""
    with contextlib.suppress(pika.exceptions.ConnectionWrongStateError):  # closed: there is no wait to interrupt
        connection.add_callback_threadsafe(lambda: None)


def _backoff() -> Iterator[float]:
    """Pauses in seconds: doubled each time, then constant."""
    return itertools.chain((0.5, 1, 2, 4, 8), itertools.repeat(10))


def _record_heartbeat(pollers: Sequence[Poller]) -> None:
    """Store in Valkey that the consumer runs, for the health check's `worker`; not if a poller has died or hangs."""
    if any(not poller.is_alive() or time.monotonic() - poller.active_at > _STUCK_SECONDS for poller in pollers):
        return
    with contextlib.suppress(StoreUnavailable):
        heartbeats.record("queues")


def consume(mappings: Sequence[tuple[Source, Invocable]], stopping: threading.Event) -> None:
    """Poll all queues until `stopping` is set; running batches are finished and acknowledged first."""
    pollers = [Poller(source, stopping, environment) for source, environment in mappings]
    for poller in pollers:
        poller.start()
    while True:
        _record_heartbeat(pollers)
        if stopping.wait(_BEAT_SECONDS):
            break
    for poller in pollers:
        poller.join()


def mappings(invocable: Callable[[Function], Invocable]) -> list[tuple[Source, Invocable]]:
    """Every event source mapping of the template, each with what it invokes, once for each of its environments."""
    return [
        (
            Source(
                function=queue.function.name,
                queue=queue.name,
                batch_size=queue.batch_size,
                window_seconds=queue.window_seconds,
                timeout_seconds=queue.function.timeout_seconds,
            ),
            invocable(queue.function),
        )
        for queue in queues()
        for _ in range(queue.function.environments)
    ]
