"""Rate limits: the contract's numbers, and what configuration makes of them."""

from collections.abc import Iterator

import msgspec
import pytest

from layers.core import limits
from layers.core.limits import Limit
from layers.core.settings import settings


@pytest.fixture
def overridden(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """RATE_LIMITS can be set, and is read again."""
    monkeypatch.delenv("RATE_LIMITS", raising=False)
    settings.cache_clear()
    limits._configured.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    settings.cache_clear()
    limits._configured.cache_clear()


@pytest.mark.parametrize(
    ("limit", "requests", "seconds"),
    [
        (limits.GENERAL, 1000, 60),
        (limits.LOGIN, 5, 60),
        (limits.POST_CREATE, 10, 3600),
        (limits.LIKE, 100, 3600),
        (limits.COMMENT, 50, 3600),
        (limits.FOLLOW, 30, 3600),
        (limits.FEED, 60, 60),
        (limits.STORY_CREATE, 20, 3600),
    ],
)
def test_defaults_are_the_contracts(overridden: pytest.MonkeyPatch, limit: Limit, requests: int, seconds: int) -> None:
    assert (limit.configured.requests, limit.configured.seconds) == (requests, seconds)


def test_login_alone_counts_failures_by_address_and_fails_without_valkey() -> None:
    special = [
        limit.action
        for limit in vars(limits).values()
        if isinstance(limit, Limit) and limit.by_address and limit.counts_failures and limit.closed_without_valkey
    ]

    assert special == ["login"]


def test_rate_limits_overrides_by_action(overridden: pytest.MonkeyPatch) -> None:
    overridden.setenv("RATE_LIMITS", '{"feed": [3, 10]}')

    assert limits.FEED.configured == msgspec.structs.replace(limits.FEED, requests=3, seconds=10)
    assert limits.LIKE.configured == limits.LIKE


def test_an_unreadable_override_is_an_error(overridden: pytest.MonkeyPatch) -> None:
    overridden.setenv("RATE_LIMITS", '{"feed": 3}')

    with pytest.raises(msgspec.ValidationError):
        _ = limits.FEED.configured
