"""Valkey through a proxy that a test can cut."""

from collections.abc import Iterator

import pytest

from layers.core.errors import StoreUnavailable
from layers.core.ids import new_id
from layers.core.settings import settings
from layers.valkey import admission, connection, timelines
from tests.support.proxies import Proxy, proxy_to
from tests.support.waiting import until


def answers() -> bool:
    """Whether Valkey is asked again, and answers."""
    try:
        timelines.push([], new_id())
    except StoreUnavailable:
        return False
    return True


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """This thread reaches Valkey through it."""
    with proxy_to(settings().valkey_url) as proxy:
        monkeypatch.setenv("VALKEY_URL", proxy.url)
        settings.cache_clear()
        connection.close()
        yield proxy
    monkeypatch.undo()
    settings.cache_clear()
    connection.close()
    until(answers)
    admission.apply_revocations([])
