"""The queue consumer: for every `Type: MQ` event of template.yaml, what Lambda's Amazon MQ event source mapping does.

python -m infra.local.consume_queues [--reload] [--host localstack]

Each mapping has a connection, a thread that polls, and one environment: a process of its own, or one of LocalStack's. A
batch is acknowledged after the handler has succeeded, and goes back whole when it raises, crashes or runs out of time.
"""

import argparse
import concurrent.futures
import contextlib
import functools
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel

from infra.local import reloading
from infra.local.isolated import Environment, InvocationFailed
from infra.local.queue_event import Delivery, event_of
from infra.template_map import Function, queues
from layers.core.errors import StoreUnavailable
from layers.core.logging import logger
from layers.rabbitmq.connection import AWAY, parameters
from layers.valkey import heartbeats

EVENT_BYTES = 6 * 1024 * 1024
"""Lambda's limit for an event. A message that alone is larger is dropped, as there."""

_BASE64 = 4 / 3
_HEARTBEAT_SECONDS = 30
_LOOK_SECONDS = 0.25
_BEAT_SECONDS = 15
_STUCK_SECONDS = 60


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One event source mapping."""

    function: str
    queue: str
    batch_size: int = 100
    window_seconds: float = 0.5
    timeout_seconds: float = 3


class Invocable(Protocol):
    """What a mapping invokes."""

    def start(self) -> None:
        """Be ready before the first event."""

    def invoke(self, event: Mapping[str, Any], *, timeout_seconds: float) -> Any:
        """What the handler returns; raises `InvocationFailed`."""

    def kill(self) -> None:
        """Let go of what was started."""


class Poller(threading.Thread):
    """Polls one queue until it is told to stop; survives its broker and its environment."""

    def __init__(self, source: Source, stopping: threading.Event, environment: Invocable) -> None:
        super().__init__(name=source.queue)
        self.source = source
        self.environment = environment
        self.turned_at = time.monotonic()
        """When its loop last turned: a thread that hangs shows."""
        self._stopping = stopping
        self._invoker = concurrent.futures.ThreadPoolExecutor(1)
        self._pauses = _growing()

    def run(self) -> None:
        """Poll; a lost connection is opened again after a growing pause."""
        self._invoker.submit(self.environment.start)  # so that the first message finds it warm
        pauses = _growing()
        while not self._stopping.is_set():
            try:
                with self._connected() as (connection, channel):
                    pauses = _growing()
                    self._poll(connection, channel)
            except Exception as error:  # noqa: BLE001 (whatever it is, the other queues and the next try go on)
                logger().warning("no queue to poll", queue=self.source.queue, reason=repr(error))
                self.turned_at = time.monotonic()
                self._stopping.wait(next(pauses))
        self._invoker.shutdown()
        self.environment.kill()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[pika.BlockingConnection, BlockingChannel]]:
        connection = pika.BlockingConnection(parameters(heartbeat_seconds=_HEARTBEAT_SECONDS))
        try:
            yield connection, connection.channel()
        finally:
            with contextlib.suppress(*AWAY):
                connection.close()  # what is not acknowledged goes back

    def _poll(self, connection: pika.BlockingConnection, channel: BlockingChannel) -> None:
        arrived: deque[Delivery] = deque()
        first_at = 0.0

        def keep(_channel: object, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
            nonlocal first_at
            if not arrived:
                first_at = time.monotonic()
            delivery = Delivery(
                tag=method.delivery_tag, redelivered=method.redelivered, properties=properties, body=body
            )
            arrived.append(delivery)

        channel.basic_qos(prefetch_count=self.source.batch_size)
        channel.add_on_cancel_callback(_cancelled)
        channel.basic_consume(self.source.queue, keep)
        while not self._stopping.is_set():
            self.turned_at = time.monotonic()
            due_at = first_at + self.source.window_seconds if arrived else self.turned_at + _LOOK_SECONDS
            if not arrived or (len(arrived) < self.source.batch_size and due_at > self.turned_at):
                connection.process_data_events(time_limit=max(0.0, due_at - self.turned_at))
                continue
            batch = _batch(arrived)
            if _event_bytes(batch) > EVENT_BYTES:
                logger().error("message dropped: larger than an event may be", queue=self.source.queue)
                channel.basic_ack(batch[-1].tag)
            else:
                self._deliver(connection, channel, batch)

    def _deliver(self, connection: pika.BlockingConnection, channel: BlockingChannel, batch: list[Delivery]) -> None:
        """Invoke off this thread, which keeps the heartbeats going; then acknowledge, or give the batch back."""
        event = event_of(self.source.queue, parameters().virtual_host, batch)
        invocation = self._invoker.submit(self.environment.invoke, event, timeout_seconds=self.source.timeout_seconds)
        invocation.add_done_callback(lambda _: _wake(connection))
        try:
            while not invocation.done():
                self.turned_at = time.monotonic()
                connection.process_data_events(time_limit=_LOOK_SECONDS)
        except AWAY:
            concurrent.futures.wait([invocation])  # the broker gives the batch out again: one environment, one event
            raise
        try:
            invocation.result()
        except InvocationFailed as error:
            outcome = type(error).__name__
            logger().error("batch given back", function=self.source.function, outcome=outcome, reason=str(error))
            self._rest(connection, next(self._pauses))
            channel.basic_nack(batch[-1].tag, multiple=True, requeue=True)
        else:
            self._pauses = _growing()
            channel.basic_ack(batch[-1].tag, multiple=True)

    def _rest(self, connection: pika.BlockingConnection, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0 and not self._stopping.is_set():
            self.turned_at = time.monotonic()
            connection.process_data_events(time_limit=min(left, _LOOK_SECONDS))


def _batch(arrived: deque[Delivery]) -> list[Delivery]:
    """The oldest deliveries that fit into one event, at least one; they are taken out."""
    batch = [arrived.popleft()]
    while arrived and _event_bytes([*batch, arrived[0]]) <= EVENT_BYTES:
        batch.append(arrived.popleft())
    return batch


def _event_bytes(batch: Sequence[Delivery]) -> float:
    """The event's size but for a few hundred bytes per message."""
    return sum(len(delivery.body) for delivery in batch) * _BASE64


def _cancelled(_method: object) -> None:
    raise ConnectionError("the queue was deleted")


def _wake(connection: pika.BlockingConnection) -> None:
    with contextlib.suppress(pika.exceptions.ConnectionWrongStateError):  # lost meanwhile: nobody waits
        connection.add_callback_threadsafe(lambda: None)


def _growing() -> Iterator[float]:
    """Pauses in seconds, growing to a constant."""
    return itertools.chain((0.5, 1, 2, 4, 8), itertools.repeat(10))


def _beat(pollers: Sequence[Poller]) -> None:
    """Say in Valkey that the consumer lives, for the health page's `worker`."""
    if any(not poller.is_alive() or time.monotonic() - poller.turned_at > _STUCK_SECONDS for poller in pollers):
        return
    with contextlib.suppress(StoreUnavailable):
        heartbeats.beat("queues")


def consume(mappings: Sequence[tuple[Source, Invocable]], stopping: threading.Event) -> None:
    """Poll all queues until told to stop; batches in work are finished and acknowledged first."""
    pollers = [Poller(source, stopping, environment) for source, environment in mappings]
    for poller in pollers:
        poller.start()
    while True:
        _beat(pollers)
        if stopping.wait(_BEAT_SECONDS):
            break
    for poller in pollers:
        poller.join()


def mappings(environment_of: Callable[[Function], Invocable]) -> list[tuple[Source, Invocable]]:
    """Every event source mapping of the template, with one environment each."""
    return [
        (
            Source(
                function=queue.function.name,
                queue=queue.name,
                batch_size=queue.batch_size,
                window_seconds=queue.window_seconds,
                timeout_seconds=queue.function.timeout_seconds,
            ),
            environment_of(queue.function),
        )
        for queue in queues()
    ]


def _local(function: Function) -> Invocable:
    return Environment(function.handler)


def _deployed(function: Function) -> Invocable:
    from infra.localstack import functions  # noqa: PLC0415 (boto3, which our own host does without)

    return functions.Environment(function)


def main() -> None:
    """Consume every queue of the template until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.consume_queues", description=__doc__)
    parser.add_argument("--reload", action="store_true", help="start anew when a file of the functions changes")
    parser.add_argument("--host", choices=["local", "localstack"], default="local", help="where the functions run")
    given = parser.parse_args()
    work = functools.partial(consume, mappings(_deployed if given.host == "localstack" else _local))
    reloading.run("infra.local.consume_queues", work, is_reloading=given.reload)


if __name__ == "__main__":
    main()
