"""The connection to the object store: outages, lost connections, rest."""

import time
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from layers.core.breaker import State
from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.media import connection
from layers.media.connection import StoredFile
from tests.support.broken_pipes import Pipe
from tests.support.waiting import until


def _key() -> str:
    return f"tests/{new_id()}"


def _file(key: str, data: bytes = b"content") -> StoredFile:
    return StoredFile(key=key, data=data, media_type="text/plain")


def _state() -> State:
    return connection._breaker.state


def test_what_was_put_is_there_until_it_is_removed() -> None:
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


def test_r_d2_a_refused_connection_is_an_unavailable_store_at_once(pipe: Pipe) -> None:
    pipe.close()
    calls: list[Callable[[], object]] = [
        lambda: connection.get("tests/x"),
        lambda: connection.put_all([_file("tests/x")] * 3),
        connection.ping,
    ]
    for call in calls:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable) as refused:
            call()
        assert time.monotonic() - started < 2
        assert refused.value.store == "storage"


def test_r_d2_a_store_that_hangs_is_unavailable_within_2_s_to_whoever_asks_how_it_is(pipe: Pipe) -> None:
    pipe.hang()
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        connection.ping()

    assert time.monotonic() - started < 2


def test_while_away_it_is_not_asked_and_it_is_used_again_when_back(pipe: Pipe) -> None:
    key = _key()
    connection.put_all([_file(key)])
    pipe.close()
    for _ in range(10):
        with pytest.raises(StoreUnavailable):
            connection.get(key)
    assert _state() is State.OPEN
    pipe.open()

    until(lambda: _state() is State.HALF_OPEN)
    assert connection.get(key) == b"content"
    assert _state() is State.CLOSED


def test_connections_that_died_while_idle_do_not_show(pipe: Pipe) -> None:
    keys = [_key() for _ in range(5)]
    for _ in range(3):
        connection.put_all([_file(key) for key in keys])
        pipe.cut()
    assert connection.get(keys[0]) == b"content"


def test_our_own_mistakes_are_not_an_unavailable_store(monkeypatch: pytest.MonkeyPatch) -> None:
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
