"""Fixtures of the exactness tests."""

from collections.abc import Iterator

import pytest

from tests.support.limits import ACTIONS, NO_LIMIT, set_limits


@pytest.fixture
def unlimited() -> Iterator[None]:
    """No rate limit is reached."""
    with set_limits(**dict.fromkeys(ACTIONS, (NO_LIMIT, 1))):
        yield
