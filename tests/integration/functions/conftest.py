"""Fixtures of tests that call handlers."""

from collections.abc import Iterator

import pytest

from tests.support.pipes import Pipes, through_pipes


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipes]:
    """This thread talks to PostgreSQL and Valkey through pipes that the test can close."""
    with through_pipes(monkeypatch) as pipes:
        yield pipes
