"""Who calls and how often, when no store can be reached."""

import socket
import time
from collections.abc import Iterator

import pytest

from layers.core.breaker import BreakerState
from layers.core.errors import StoreUnavailable
from layers.core.limits import FEED, LOGIN
from layers.core.settings import settings
from layers.entrypoints import admission
from layers.postgres import connection as postgres_connection
from layers.valkey import connection as valkey_connection
from layers.valkey.admission import Admission
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def no_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both stores at a port where nothing listens, in a process whose breakers are closed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("VALKEY_URL", f"redis://127.0.0.1:{port}/0")
    monkeypatch.setenv("DATABASE_URL", f"postgresql://nobody@127.0.0.1:{port}/nothing")
    _leave()
    yield
    monkeypatch.undo()
    _leave()
    until(lambda: BreakerState.OPEN not in (valkey_connection._breaker.state, postgres_connection._breaker.state))


def _leave() -> None:
    """No connection, no settings and no memory of before."""
    settings.cache_clear()
    valkey_connection.mark_current()
    postgres_connection.close()
    valkey_connection.close()


@pytest.mark.rule("R-L7")
def test_without_valkey_requests_pass_uncounted() -> None:
    assert admission.admit(None, "192.0.2.1", FEED) == Admission(session=None, count=None)


@pytest.mark.rule("R-L7")
def test_without_valkey_login_is_closed() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        admission.admit(None, "192.0.2.1", LOGIN)

    assert refused.value.store == "valkey"


def test_a_session_that_no_store_can_confirm_is_an_unavailable_store_and_not_anonymous() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        admission.admit("some-session", "192.0.2.1", FEED)

    assert refused.value.store == "database"


@pytest.mark.rule("R-D2")
def test_two_stores_that_are_down_are_noticed_at_once() -> None:
    started = time.monotonic()
    for _ in range(50):
        with pytest.raises(StoreUnavailable):
            admission.admit("some-session", "192.0.2.1", FEED)

    assert time.monotonic() - started < 2
