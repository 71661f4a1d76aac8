"""Valkey through a proxy that a test can cut."""

from collections.abc import Iterator

import pytest

from layers.core.settings import settings
from tests.support.proxies import Proxy, proxy_to, valkey_at


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """This thread reaches Valkey through it."""
    with proxy_to(settings().valkey_url) as proxy, valkey_at(proxy.url, monkeypatch):
        yield proxy
