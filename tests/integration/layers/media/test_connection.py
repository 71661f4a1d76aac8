"""The connection to the object store: outages, lost connections, rest."""

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from layers.core import waiting
from layers.core.breaker import BreakerState
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.media import connection, object_requests
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


class Tries:
    """The connections that are opened to the store from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: list[float] = []
        """When each was begun, as `time.monotonic()` shows it."""
        self.before: Callable[[int], object] = lambda _: None
        """Called before each, with its number from 1."""
        tries = self

        class Watched(object_requests._Connection):
            def __init__(self, *arguments: Any) -> None:
                tries.times.append(time.monotonic())
                tries.before(len(tries.times))
                super().__init__(*arguments)

        monkeypatch.setattr(object_requests, "_Connection", Watched)

    @property
    def pauses(self) -> list[float]:
        """The seconds between them."""
        return [later - earlier for earlier, later in pairwise(self.times)]


@pytest.fixture
def tries(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Tries:
    assert proxy.port
    return Tries(monkeypatch)


def _breaker_events() -> dict[str, float]:
    return {name: counter._value.get() for name, counter in connection._breaker._events.items()}


def _counted(before: Mapping[str, float]) -> dict[str, float]:
    """The events of the breaker since then."""
    return {name: value - before[name] for name, value in _breaker_events().items() if value != before[name]}


@pytest.mark.parametrize("count", [1, 3])
def test_files_are_stored_by_a_store_that_is_back_at_the_third_try(proxy: Proxy, tries: Tries, count: int) -> None:
    files = [_file(_key()) for _ in range(count)]
    before = _breaker_events()
    tries.before = lambda number: proxy.open() if number == 2 * count + 1 else None
    proxy.close()
    connection.put_all(files)

    assert [connection.get(file.key) for file in files] == [b"content"] * count
    assert len(tries.times) == 3 * count
    waits = tries.pauses[count - 1 :: count]
    assert waits[0] >= 0.2
    assert waits[1] >= 0.4
    assert _counted(before) == {"success": 1 + count}


def test_a_file_is_stored_again_when_its_connection_is_lost(proxy: Proxy, tries: Tries) -> None:
    file = _file(_key(), b"x" * 4_000_000)
    proxy.lose_after(1_000_000)
    tries.before = lambda number: proxy.pass_on() if number == 3 else None
    connection.put_all([file])

    assert connection.get(file.key) == file.data
    assert len(tries.times) == 3


def test_three_failed_tries_are_one_failed_call_and_while_the_breaker_is_open_there_is_none(
    proxy: Proxy, tries: Tries
) -> None:
    before = _breaker_events()
    proxy.close()
    with pytest.raises(StoreUnavailable):
        connection.put_all([_file(_key())])
    assert len(tries.times) == 3
    assert _counted(before) == {"failure": 1}

    while _state() is not BreakerState.OPEN:
        with pytest.raises(StoreUnavailable):
            connection.get(_key())
    opened = len(tries.times)
    with pytest.raises(StoreUnavailable):
        connection.put_all([_file(_key())])
    assert len(tries.times) == opened


@pytest.mark.rule("R-D2")
def test_tries_end_with_the_time_of_the_request_and_a_time_out_is_not_tried_again(proxy: Proxy, tries: Tries) -> None:
    for stop in (proxy.close, proxy.hang):
        stop()
        tries.times.clear()
        waiting.begin(0.5)
        started = time.monotonic()
        try:
            with pytest.raises(StoreUnavailable):
                connection.put_all([_file(_key(), b"x" * 4_000_000)])
        finally:
            waiting.end()
        assert time.monotonic() - started < 0.5 + LATE_SECONDS
        assert len(tries.times) == (2 if stop == proxy.close else 1)
        proxy.open()


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
