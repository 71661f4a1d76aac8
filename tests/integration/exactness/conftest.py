"""Fixtures of the exactness tests."""

from collections.abc import Iterator

import pytest

from tests.support.limits import set_limits

ACTIONS = ("general", "login", "post_create", "like", "comment", "follow", "feed", "story_create")


@pytest.fixture
def unlimited() -> Iterator[None]:
    """No rate limit is reached."""
    with set_limits(**dict.fromkeys(ACTIONS, (10**9, 1))):
        yield
