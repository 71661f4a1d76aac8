"""Stores that a test can take away."""

from collections.abc import Iterator

import pytest

from tests.support.pipes import Pipes, through_pipes
from tests.support.stores import valkey


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipes]:
    """This thread talks to PostgreSQL and Valkey through pipes that the test can close."""
    valkey()  # the test's own client never goes through a pipe
    with through_pipes(monkeypatch) as pipes:
        yield pipes
