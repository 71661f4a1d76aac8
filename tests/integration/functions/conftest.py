"""Fixtures of tests that call handlers."""

import os
from collections.abc import Iterator

import pytest

from layers.core.breaker import BreakerState
from layers.core.settings import settings
from layers.media import connection
from tests.support.proxies import Proxies, Proxy, proxy_to, through_proxies


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxies]:
    """This thread reaches PostgreSQL and Valkey through proxies that the test can close."""
    with through_proxies(monkeypatch) as proxies:
        yield proxies


@pytest.fixture
def store_proxy() -> Iterator[Proxy]:
    """All that this test's handlers send to the object store goes through here; breakers forget afterwards."""
    url = os.environ["S3_ENDPOINT_URL"]
    with proxy_to(url) as proxy:
        _use(proxy.url)
        yield proxy
    _use(url)


def _use(url: str) -> None:
    os.environ["S3_ENDPOINT_URL"] = url
    settings.cache_clear()
    connection.close()
    for breaker in (connection._breaker, connection.image_processing):
        breaker._outcomes.clear()
        breaker._state = BreakerState.CLOSED
