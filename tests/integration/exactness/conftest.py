"""Fixtures of the exactness tests."""

import json
from collections.abc import Iterator

import pytest

from layers.core import limits
from layers.core.settings import settings

ACTIONS = ("general", "login", "post_create", "like", "comment", "follow", "feed", "story_create")


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No rate limit is reached."""
    monkeypatch.setenv("RATE_LIMITS", json.dumps({action: [10**9, 1] for action in ACTIONS}))
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    settings.cache_clear()
    limits._configured.cache_clear()
