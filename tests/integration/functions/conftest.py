"""Fixtures of tests that call handlers."""

import os
from collections.abc import Iterator

import pytest

from layers.core.breaker import State
from layers.core.settings import settings
from layers.media import connection
from tests.support.broken_pipes import Pipe, pipe_to
from tests.support.pipes import Pipes, through_pipes


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipes]:
    """This thread talks to PostgreSQL and Valkey through pipes that the test can close."""
    with through_pipes(monkeypatch) as pipes:
        yield pipes


@pytest.fixture
def store_pipe() -> Iterator[Pipe]:
    """All that this test's handlers send to the object store goes through here; breakers forget afterwards."""
    url = os.environ["S3_ENDPOINT_URL"]
    with pipe_to(url) as pipe:
        _use(pipe.url)
        yield pipe
    _use(url)


def _use(url: str) -> None:
    os.environ["S3_ENDPOINT_URL"] = url
    settings.cache_clear()
    connection.close()
    for breaker in (connection._breaker, connection.processing):
        breaker._outcomes.clear()
        breaker._state = State.CLOSED
