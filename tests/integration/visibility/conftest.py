"""Fixtures of the visibility tests."""

from collections.abc import Iterator

import pytest

from tests.support.proxies import Proxies, through_proxies
from tests.support.stores import valkey


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxies]:
    """This thread reaches PostgreSQL and Valkey through proxies that the test can close."""
    valkey()  # the test's own client never goes through a proxy
    with through_proxies(monkeypatch) as proxies:
        yield proxies
