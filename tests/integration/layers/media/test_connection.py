"""The connection to the object store: outages, lost connections, rest."""

import time
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from layers.core import waiting
from layers.core.breaker import BreakerState
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.media import connection
from layers.media.connection import Puts, StoredFile
from tests.support.proxies import Proxy
from tests.support.waiting import LATE_SECONDS, until


def _key() -> str:
    return f"tests/{new_id()}"


def _file(key: str, data: bytes = b"content") -> StoredFile:
    return StoredFile(key=key, data=data, media_type="text/plain")


def _state() -> BreakerState:
    return connection._breaker.state


def test_an_object_exists_until_it_is_removed() -> None:
    keys = [_key() for _ in range(12)]
    connection.put_all([_file(key, key.encode()) for key in keys])

    assert [connection.get(key) for key in keys] == [key.encode() for key in keys]
    assert connection.exists(keys[0])
    connection.remove(keys)
    assert [connection.get(key) for key in keys] == [None] * 12
    assert not connection.exists(keys[0])
    connection.remove(keys)
    connection.remove([])
    connection.put_all([])


@pytest.mark.rule("R-D2")
def test_a_refused_connection_is_an_unavailable_store_at_once(proxy: Proxy) -> None:
    proxy.close()
    calls: list[Callable[[], object]] = [
        lambda: connection.get("tests/x"),
        lambda: connection.put_all([_file("tests/x")] * 3),
        lambda: connection.exists("tests/x"),
    ]
    for call in calls:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable) as refused:
            call()
        assert time.monotonic() - started < 2
        assert refused.value.store == "storage"


@pytest.mark.rule("R-D2")
def test_a_store_that_hangs_is_unavailable_within_2_s_when_its_objects_are_counted(proxy: Proxy) -> None:
    proxy.hang()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        connection.list_objects()

    assert time.monotonic() - started < 2


@pytest.mark.rule("R-D2")
def test_a_store_that_hangs_is_given_up_after_8_s(proxy: Proxy) -> None:
    connection.put_all([_file(key := _key())])
    proxy.hang()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        connection.get(key)

    assert time.monotonic() - started < 8 + LATE_SECONDS


def test_while_it_is_down_it_is_not_called_and_it_is_used_again_when_back(proxy: Proxy) -> None:
    key = _key()
    connection.put_all([_file(key)])
    proxy.close()
    for _ in range(10):
        with pytest.raises(StoreUnavailable):
            connection.get(key)
    assert _state() is BreakerState.OPEN
    proxy.open()

    until(lambda: _state() is BreakerState.HALF_OPEN)
    assert connection.get(key) == b"content"
    assert _state() is BreakerState.CLOSED


def test_connections_that_died_while_idle_do_not_show(proxy: Proxy) -> None:
    keys = [_key() for _ in range(5)]
    for _ in range(3):
        connection.put_all([_file(key) for key in keys])
        proxy.cut()
    assert connection.get(keys[0]) == b"content"


def test_an_object_is_stored_while_the_block_goes_on() -> None:
    keys = [_key(), _key()]
    with Puts() as puts:
        puts.put(_file(keys[0]))
        until(lambda: connection.exists(keys[0]))
        puts.put(_file(keys[1]))

    assert [connection.get(key) for key in keys] == [b"content"] * 2


def test_a_store_that_is_unavailable_shows_at_the_end_of_the_block(proxy: Proxy) -> None:
    begun = []

    def store() -> None:
        with Puts() as puts:
            for key in (_key(), _key()):
                puts.put(_file(key))
                begun.append(key)

    proxy.close()
    with pytest.raises(StoreUnavailable):
        store()

    assert len(begun) == 2


def test_a_block_that_raises_does_not_wait_for_the_store(proxy: Proxy) -> None:
    def fail() -> None:
        with Puts() as puts:
            puts.put(_file(_key()))
            raise ZeroDivisionError

    proxy.hang()
    started = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        fail()

    assert time.monotonic() - started < 2


def test_a_rejected_request_is_not_an_unavailable_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "wrong")
    settings.cache_clear()
    connection.close()
    try:
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            connection.get("tests/x")
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        connection.close()


@pytest.mark.rule("R-D2")
def test_the_calls_of_an_upload_to_a_store_that_hangs_wait_10_s_together(proxy: Proxy) -> None:
    connection.exists("tests/x")
    proxy.hang()
    started = time.monotonic()
    waiting.begin(waiting.UPLOAD_SECONDS)
    try:
        with pytest.raises(StoreUnavailable):
            connection.put_all([StoredFile("tests/x", b"x", "text/plain")])
        with pytest.raises(StoreUnavailable):
            connection.remove(["tests/x"])
    finally:
        waiting.end()

    assert time.monotonic() - started < 10 + LATE_SECONDS
