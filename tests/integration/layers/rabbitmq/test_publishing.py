"""Publishing: confirmed or said not to be, and never an error."""

import socket
import time
from collections.abc import Iterator

import pytest

from layers.core.errors import StoreUnavailable
from layers.core.events import OutboxEvent
from layers.core.ids import new_id
from layers.rabbitmq import connection, publishing
from tests.support.proxies import Proxy, rabbitmq_through_a_proxy
from tests.support.queues import count_ready, take
from tests.support.waiting import LATE_SECONDS, until


def note(queue: str) -> OutboxEvent:
    return OutboxEvent(id=new_id(), queue=queue, body=b'{"a": 1}', trace_id="trace-1")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The broker behind a proxy that a test can cut."""
    with rabbitmq_through_a_proxy(monkeypatch) as opened:
        yield opened


def test_an_event_arrives_whole_persistent_and_with_its_trace_id(queue: str) -> None:
    sent = note(queue)

    assert publishing.publish(sent)

    letter = take(queue)
    assert (letter.body, letter.headers) == (sent.body, {"x-trace-id": "trace-1"})
    assert (letter.properties.message_id, letter.properties.delivery_mode) == (str(sent.id), 2)


def test_a_note_without_a_queue_is_not_sent() -> None:
    assert not publishing.publish(note("no-such-queue"))


def test_a_connection_that_died_while_idle_is_replaced(queue: str, proxy: Proxy) -> None:
    assert publishing.publish(note(queue))
    proxy.cut()

    assert publishing.publish(note(queue))
    assert until(lambda: count_ready(queue) == 2)


def test_publishing_to_a_broker_that_is_down_returns_false_until_it_is_back(queue: str, proxy: Proxy) -> None:
    assert publishing.publish(note(queue))
    proxy.close()

    for _ in range(4):
        assert not publishing.publish(note(queue))
    proxy.open()

    assert until(lambda: publishing.publish(note(queue)), seconds=5)


@pytest.mark.rule("R-D2")
def test_a_broker_that_hangs_is_given_up_after_2_s(queue: str, proxy: Proxy) -> None:
    assert publishing.publish(note(queue))
    proxy.hang()

    started = time.monotonic()
    assert not publishing.publish(note(queue))
    assert time.monotonic() - started < 2 + LATE_SECONDS


def test_the_depth_is_of_messages_ready(queue: str) -> None:
    for _ in range(3):
        publishing.publish(note(queue))

    assert until(lambda: connection.queue_depth(queue) == 3)
    with pytest.raises(LookupError):
        connection.queue_depth("no-such-queue")
    assert publishing.publish(note(queue))


def test_the_depth_of_a_broker_down_is_unknown(monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> None:
    proxy.close()

    with pytest.raises(StoreUnavailable) as refusal:
        connection.queue_depth("any")
    assert refusal.value.store == "rabbitmq"


def test_nothing_listens_on_a_closed_proxy(proxy: Proxy) -> None:
    proxy.close()

    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", proxy.port), timeout=1):
        pass
