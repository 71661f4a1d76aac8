"""The time that a request may wait for stores: one that has waited for a store has less left for the next one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from layers.cassandra import connection as cassandra
from layers.core import waiting
from layers.core.errors import StoreUnavailable
from layers.core.events import OutboxEvent
from layers.core.ids import new_id
from layers.postgres import connection as postgres
from layers.rabbitmq import connection as rabbitmq
from layers.rabbitmq import publishing
from tests.support.proxies import (
    Proxy,
    cassandra_through_a_proxy,
    rabbitmq_through_a_proxy,
    stores_answer,
    through_proxies,
)
from tests.support.stores import valkey_answers
from tests.support.waiting import LATE_SECONDS, until

REQUEST_SECONDS = 2
FIRST_WAIT_SECONDS = 1.7
"""A wait that no store refuses by itself."""
FAULTS = pytest.mark.parametrize("fault", [Proxy.hang, lambda proxy: proxy.delay(550)], ids=["hangs", "is slow"])
"""With the delay, each answer comes in the time that the store has for it."""


@pytest.fixture(autouse=True)
def closed_breakers(queue: str) -> Iterator[None]:
    """Other tests find no open circuit breaker in this process."""
    yield

    def all_answer() -> bool:
        try:
            read_from_cassandra()
            rabbitmq.queue_depth(queue)
        except StoreUnavailable:
            return False
        return stores_answer()

    until(all_answer)


@contextmanager
def request_ends_in_time() -> Iterator[None]:
    """A request, which does not wait longer than R-D2 allows."""
    waiting.begin(waiting.REQUEST_SECONDS)
    started = time.monotonic()
    try:
        yield
    finally:
        waiting.end()
    assert time.monotonic() - started < REQUEST_SECONDS + LATE_SECONDS


def wait_for_postgres() -> None:
    with postgres.autocommit() as db:
        db.execute("SELECT pg_sleep(%s)", [FIRST_WAIT_SECONDS])


def read_from_cassandra() -> None:
    cassandra.execute(cassandra.PING, {})


def publish(queue: str) -> bool:
    return publishing.publish(OutboxEvent(id=new_id(), queue=queue, body=b"{}", trace_id=None))


@FAULTS
@pytest.mark.rule("R-D2")
def test_connecting_to_postgresql_takes_what_the_request_has_left(
    fault: Callable[[Proxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with through_proxies(monkeypatch) as proxies, request_ends_in_time():
        wait_for_postgres()
        postgres.close()
        fault(proxies.database)
        with pytest.raises(StoreUnavailable), postgres.autocommit() as db:
            db.execute("SELECT 1")


@FAULTS
@pytest.mark.rule("R-D2")
def test_connecting_to_rabbitmq_takes_what_the_request_has_left(
    fault: Callable[[Proxy], None], queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rabbitmq_through_a_proxy(monkeypatch) as proxy:
        fault(proxy)
        with request_ends_in_time():
            wait_for_postgres()
            assert not publish(queue)


@pytest.mark.rule("R-D2")
def test_a_slow_rabbitmq_has_2_s_for_the_connection_the_channel_and_the_message_together(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rabbitmq_through_a_proxy(monkeypatch) as proxy:
        proxy.delay(550)
        with request_ends_in_time():
            assert not publish(queue)


@pytest.mark.rule("R-D1", "R-D2")
def test_a_rabbitmq_that_hangs_leaves_time_for_what_follows(queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with rabbitmq_through_a_proxy(monkeypatch) as proxy:
        proxy.hang()
        with request_ends_in_time():
            assert not publish(queue)
            with postgres.autocommit() as db:
                assert db.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.rule("R-D2")
def test_a_request_without_time_left_does_not_count_as_a_failure_of_rabbitmq(queue: str) -> None:
    with request_ends_in_time():
        waiting.spend(waiting.REQUEST_SECONDS)
        for _ in range(10):
            assert not publish(queue)

    assert publish(queue)


@FAULTS
@pytest.mark.rule("R-D2")
def test_connecting_to_cassandra_takes_what_the_request_has_left(
    fault: Callable[[Proxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with cassandra_through_a_proxy(monkeypatch) as proxy:
        fault(proxy)
        with request_ends_in_time():
            wait_for_postgres()
            with pytest.raises(StoreUnavailable):
                read_from_cassandra()


@pytest.mark.rule("R-D2")
def test_waits_for_valkey_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with through_proxies(monkeypatch) as proxies:
        proxies.valkey.delay(400)
        proxies.database.hang()
        with request_ends_in_time():
            for _ in range(4):
                valkey_answers()
            with suppress(StoreUnavailable):
                wait_for_postgres()
