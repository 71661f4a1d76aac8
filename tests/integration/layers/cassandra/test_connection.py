"""The session with Cassandra: down, hanging and back."""

import time
from collections.abc import Iterator

import pytest

from infra.migrate import migrate_cassandra
from layers.cassandra import connection
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from tests.support.proxies import Proxy, cassandra_through_a_proxy
from tests.support.waiting import LATE_SECONDS, until

READ = "SELECT user_id FROM profiles WHERE user_id = :id"


def read() -> list[dict[str, object]]:
    return connection.execute(READ, {"id": new_id()})


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Cassandra behind a proxy that a test can cut."""
    with cassandra_through_a_proxy(monkeypatch) as opened:
        yield opened
    until(is_back, seconds=10)


def is_back() -> bool:
    try:
        return read() == []
    except StoreUnavailable:
        return False


def test_the_driver_runs_on_libev() -> None:
    from cassandra.cluster import Cluster  # noqa: PLC0415 (as the layer imports it)

    assert Cluster.connection_class.__name__ == "LibevConnection"


def test_migrating_again_applies_nothing() -> None:
    assert migrate_cassandra() == 0


def test_connections_that_died_while_idle_are_replaced(proxy: Proxy) -> None:
    assert read() == []
    proxy.cut()

    assert read() == []


def test_cassandra_down_is_noticed_at_once_and_it_is_used_again_when_it_is_back(proxy: Proxy) -> None:
    assert read() == []
    proxy.close()

    started = time.monotonic()
    for _ in range(5):
        with pytest.raises(StoreUnavailable) as refusal:
            read()
        assert refusal.value.store == "cassandra"
    assert time.monotonic() - started < 5
    proxy.open()

    assert until(is_back, seconds=10)


@pytest.mark.rule("R-D2")
def test_a_cassandra_that_hangs_is_given_up_after_2_s(proxy: Proxy) -> None:
    assert read() == []
    proxy.hang()

    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        read()
    assert time.monotonic() - started < 2 + LATE_SECONDS


def test_a_wrong_statement_is_no_outage() -> None:
    from cassandra import InvalidRequest  # noqa: PLC0415

    for _ in range(4):
        with pytest.raises(InvalidRequest):
            connection.execute("SELECT nothing FROM profiles", {})
    assert read() == []
