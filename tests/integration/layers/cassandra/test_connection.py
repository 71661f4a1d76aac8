"""The session with Cassandra: down, hanging and back."""

import time
from collections.abc import Callable, Iterator

import pytest

from infra.migrate import migrate_cassandra
from layers.cassandra import connection
from layers.core import waiting
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from tests.support.proxies import Proxy, cassandra_through_a_proxy
from tests.support.waiting import LATE_SECONDS, until

READ = "SELECT user_id FROM profiles WHERE user_id = :id"
OTHER_READS = ["SELECT * FROM conversations LIMIT 1", "SELECT * FROM messages LIMIT 1", "SELECT * FROM sent LIMIT 1"]


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


@pytest.mark.rule("R-D2")
@pytest.mark.parametrize("fault", [Proxy.hang, lambda proxy: proxy.delay(700)], ids=["hangs", "is slow"])
@pytest.mark.parametrize("reads_before", [0, 1], ids=["connects first", "prepares first"])
def test_a_request_waits_2_s_also_if_it_connects_or_prepares_statements_first(
    proxy: Proxy, fault: Callable[[Proxy], None], reads_before: int
) -> None:
    def read_three_tables() -> None:
        for statement in OTHER_READS:
            connection.execute(statement, {})

    for _ in range(reads_before):
        read()
    fault(proxy)
    waiting.begin(waiting.REQUEST_SECONDS)
    started = time.monotonic()
    try:
        with pytest.raises(StoreUnavailable):
            read_three_tables()
    finally:
        waiting.end()

    assert time.monotonic() - started < 2 + LATE_SECONDS


def test_a_wrong_statement_is_no_outage() -> None:
    from cassandra import InvalidRequest  # noqa: PLC0415

    for _ in range(4):
        with pytest.raises(InvalidRequest):
            connection.execute("SELECT nothing FROM profiles", {})
    assert read() == []
